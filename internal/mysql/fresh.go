package mysql

import (
	"errors"

	"flashgate"

	driversql "github.com/go-sql-driver/mysql"
)

const (
	// freshFrom is the smallest batch that is taken for new: reading what is known of a
	// smaller one costs less than to be wrong.
	freshFrom = 64
	// carefulFor is how many batches are read first after one that held a repeat: repeats
	// come in crowds, when a worker or a connection was lost.
	carefulFor = 16
)

// decideFresh decides a batch whose orders and users are all taken for unknown, without
// reading what is known of them, which is a fifth of the time. The keys of the tables
// judge: a row or a share that is there after all is a duplicate key, which undoes the
// transaction, and it begins again with reading. That is sound because a batch counts as
// new only if every reservation in it is placed, so each writes its order's row and its
// user's share: nothing is told of an order that no key has judged.
//
// It returns nil, and has written nothing, if one of them is dead-lettered or would not be
// placed. Dead letters have a table of their own, which is nearly always empty.
func (t *txn) decideFresh(b *batch, rs []flashgate.Reservation) ([]flashgate.Decision, error) {
	b.fresh = true
	var letters bool
	if err := t.row("dead_any").Scan(&letters); err != nil {
		return nil, err
	}
	if letters {
		ids := make([]any, len(rs))
		for i, r := range rs {
			ids[i] = string(r.Order)
		}
		var found bool
		if err := t.QueryRowContext(t.ctx, lists("dead_any_of", len(ids)), ids...).Scan(&found); err != nil || found {
			return nil, err
		}
	}
	out := make([]flashgate.Decision, len(rs))
	for i, r := range rs {
		d, err := b.one(r)
		if err != nil {
			return nil, err
		}
		if d.Status != flashgate.StatusPending || d.Duplicate {
			return nil, nil
		}
		out[i] = d
	}
	return out, t.flush(b)
}

// duplicateKey reports whether the server has refused a row because its key is there.
func duplicateKey(err error) bool {
	e, ok := errors.AsType[*driversql.MySQLError](err)
	return ok && e.Number == 1062
}
