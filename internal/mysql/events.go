package mysql

import (
	"context"

	"flashgate"
)

// event is a row of the outbox of events.
func (l *locked) event(kind flashgate.EventKind, order flashgate.OrderID, user flashgate.UserID, units int64) []any {
	return []any{string(kind), string(l.ID), string(order), string(user), units, int64(l.Seq), l.at}
}

func scanEvent(r scanner) (e flashgate.Event, err error) {
	var at int64
	err = r.Scan(&e.ID, &e.Kind, &e.Sale, &e.Order, &e.User, &e.Units, &e.Seq, &at)
	e.At = toTime(at)
	return e, err
}

// Deliver locks the events that it sends and passes over those that another caller
// has locked.
func (s *Store) Deliver(ctx context.Context, max int, send func(context.Context, []flashgate.Event) error) (int, error) {
	return write(ctx, s, "mysql.Deliver", repeatable, func(t *txn) (int, error) {
		es, err := collect(t.ctx, t, scanEvent, query("events_lock"), max)
		if err != nil || len(es) == 0 {
			return 0, err
		}
		if err := send(t.ctx, es); err != nil {
			return 0, err
		}
		ids := make([]any, len(es))
		for i, e := range es {
			ids[i] = e.ID
		}
		_, err = t.exec(union("events_drop", len(ids)), ids...)
		return len(es), err
	})
}

var _ flashgate.EventStore = (*Store)(nil)
