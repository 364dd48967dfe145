package hiddenpath

import (
	"context"

	"flashgate"
)

// Grant says that a request came through the guard, and as whose.
type Grant struct {
	Order flashgate.OrderID // empty without `sale`
	Sale  flashgate.SaleID  // empty without `sale`
	User  flashgate.UserID  // empty for an anonymous visitor, only without `sale`
}

type grantKey struct{}

// FromContext returns the grant of a request that came through the guard.
func FromContext(ctx context.Context) (Grant, bool) {
	g, ok := ctx.Value(grantKey{}).(Grant)
	return g, ok
}
