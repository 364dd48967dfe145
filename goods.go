package flashgate

import (
	"context"
	"time"
)

// GoodsID names a product of the shop.
type GoodsID string

// Goods is a product.
type Goods struct {
	ID          GoodsID
	Title       string
	Description string
	Image       string // path of a picture on the shop; empty for none
	Price       int64  // the regular price, minor units
}

// GoodsStore keeps the products.
type GoodsStore interface {
	// PutGoods writes or replaces a product. Idempotent.
	PutGoods(ctx context.Context, g Goods) error
	// Goods reads one product; CodeNotFound when there is none.
	Goods(ctx context.Context, id GoodsID) (Goods, error)
}

// UserID names a user, as the site's own login knows it: 1 to 128 bytes of
// printable ASCII without spaces.
type UserID string

// ParseUserID checks the form of a user id.
func ParseUserID(s string) (UserID, error) {
	if s == "" || len(s) > 128 {
		return "", Invalid("flashgate.ParseUserID", "user", "must be 1 to 128 bytes of printable ASCII without spaces")
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return "", Invalid("flashgate.ParseUserID", "user", "must be 1 to 128 bytes of printable ASCII without spaces")
		}
	}
	return UserID(s), nil
}

// Role is what a user may do.
type Role string

// The roles.
const (
	RoleCustomer      Role = "customer"
	RoleAdministrator Role = "administrator"
)

// User is a registered visitor of the demo shop.
type User struct {
	ID           UserID
	Mobile       string // digits only, unique
	Name         string
	PasswordHash string // PHC string format
	Role         Role
	Created      time.Time
}

// UserStore keeps the users.
type UserStore interface {
	// CreateUsers writes all of them or none. A mobile number that is taken is
	// CodeMobileTaken. Nil means durable.
	CreateUsers(ctx context.Context, us []User) error
	// User reads one user by id; CodeNotFound when there is none.
	User(ctx context.Context, id UserID) (User, error)
	// UserByMobile reads one user by mobile number; CodeNotFound when there is none.
	UserByMobile(ctx context.Context, mobile string) (User, error)
}
