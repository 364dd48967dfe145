package redis

import (
	"context"
	"strconv"

	"flashgate"
)

var (
	applyScript  = mustScript("head", "orders", "apply")
	settleScript = mustScript("head", "orders", "settle")
)

// Bounds of Apply: what one script applies, so that others do not wait for more than
// a few milliseconds, and how many scripts travel together.
const (
	applyChanges = 1024
	applyScripts = 16
)

// Apply applies entries in one script each applyChanges changes; an entry is never
// split. CodeSaleClosed when the sale is not open; CodeInvalid for an entry of another
// sale or a change of an unknown kind, before anything is applied. The seq makes every
// repetition harmless.
func (s *Store) Apply(ctx context.Context, sale flashgate.SaleID, entries []flashgate.LogEntry) (uint64, error) {
	const op = "redis.Apply"
	calls, err := s.applyCalls(op, sale, entries)
	if err != nil {
		return 0, err
	}
	var applied uint64
	for len(calls) > 0 {
		n := min(len(calls), applyScripts)
		for _, cmd := range runAll(ctx, s.client, calls[:n]) {
			reply, err := answer(op, cmd)
			if err != nil {
				return 0, err
			}
			text, _ := reply.(string)
			if applied, err = strconv.ParseUint(text, 10, 64); err != nil {
				return 0, unexpected(op, reply)
			}
		}
		calls = calls[n:]
	}
	return applied, nil
}

// applyCalls makes the scripts, at least one.
func (s *Store) applyCalls(op string, sale flashgate.SaleID, entries []flashgate.LogEntry) ([]call, error) {
	keys := saleKeys(sale)
	var calls []call
	args, changes := []any{s.freed.channel}, 0
	for i, e := range entries {
		if i > 0 && changes+len(e.Changes) > applyChanges {
			calls = append(calls, call{applyScript, keys, args})
			args, changes = []any{s.freed.channel}, 0
		}
		if e.Sale != sale {
			return nil, flashgate.Invalid(op, "sale", "entry %d is of sale %s, not of %s", e.Seq, e.Sale, sale)
		}
		args = append(args, e.Seq, e.Starts.UnixMilli(), e.Ends.UnixMilli(), len(e.Changes))
		for _, c := range e.Changes {
			switch c.Kind {
			case flashgate.ChangePlaced, flashgate.ChangeRejected, flashgate.ChangeCancelled, flashgate.ChangeRestock, flashgate.ChangeWindow:
			default:
				return nil, flashgate.Invalid(op, "kind", "of a change in entry %d is %q, which this program does not know", e.Seq, c.Kind)
			}
			args = append(args, string(c.Kind), string(c.Order), string(c.User), c.Units)
		}
		changes += len(e.Changes)
	}
	return append(calls, call{applyScript, keys, args}), nil
}

// Settle releases ids that were reserved again after their decision. CodeSaleClosed
// when the sale is not open. Seq zero is that of a dead letter, which stays held.
func (s *Store) Settle(ctx context.Context, sale flashgate.SaleID, seq uint64, ids []flashgate.OrderID) error {
	if seq == 0 {
		return nil
	}
	_, err := s.verb(ctx, "redis.Settle", settleScript, sale, orders(ids, s.freed.channel, seq)...)
	return err
}

var _ flashgate.Applier = (*Store)(nil)
