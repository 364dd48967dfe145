package redis

import (
	"context"

	"flashgate"
)

var removeScript = mustScript("head", "remove")

// RemoveGate removes a sale by one script, which may be repeated. The rests of an opening
// that was given up vanish by themselves, within the same time as the head.
func (s *Store) RemoveGate(ctx context.Context, sale flashgate.SaleID) error {
	const op = "redis.RemoveGate"
	if _, err := flashgate.ParseSaleID(string(sale)); err != nil {
		return err
	}
	keys := append(saleKeys(sale), saleKey(sale, "opening"))
	reply, err := answer(op, removeScript.run(ctx, s.client, keys, openLife.Milliseconds()))
	switch {
	case err != nil:
		return err
	case reply == "removed":
		return nil
	case reply == "open":
		return flashgate.Errorf(flashgate.CodeWrongState, op, "The gate of sale %s is open: close the sale first.", sale)
	}
	return unexpected(op, reply)
}

var _ flashgate.GateRemover = (*Store)(nil)
