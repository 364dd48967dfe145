package mysql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"flashgate"
)

// Tally reads by keys and locks nothing; its four statements are four moments.
func (s *Store) Tally(ctx context.Context) (out flashgate.Tally, err error) {
	const op = "mysql.Tally"
	if err := s.db.QueryRowContext(ctx, query("tally_dead")).Scan(&out.DeadLetters); err != nil {
		return flashgate.Tally{}, failure(op, err)
	}
	if out.DeadLetters > 0 {
		out.Dead, err = collect(ctx, s.db, func(r scanner) (id flashgate.OrderID, err error) {
			err = r.Scan(&id)
			return id, err
		}, query("tally_dead_ids"), flashgate.TallyDead)
		if err != nil {
			return flashgate.Tally{}, failure(op, err)
		}
	}
	var age int64
	err = s.db.QueryRowContext(ctx, query("tally_event")).Scan(&age)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return flashgate.Tally{}, failure(op, err)
	}
	out.EventAge = time.Duration(age) * time.Millisecond
	var rejected int
	err = s.db.QueryRowContext(ctx, query("tally_over_accepted"), flashgate.TallySince.Milliseconds(), flashgate.TallyOverAccepted).
		Scan(&rejected, &out.AfterLoss)
	if err != nil {
		return flashgate.Tally{}, failure(op, err)
	}
	out.OverAccepted = rejected - out.AfterLoss
	return out, nil
}

var _ flashgate.Tallier = (*Store)(nil)
