package redis

import (
	"context"
	"iter"
	"strconv"

	"flashgate"
)

// How a state is read and staged, so that no command takes long.
const (
	stagedPairs    = 500  // of one command
	stagedCommands = 20   // of one round trip
	survivorsPage  = 1000 // of held, by one command
)

// record is one of held.
type record struct {
	flashgate.Reservation
	entered int64 // when it entered the outbox last, in microseconds
}

func (r record) String() string {
	return strconv.Itoa(r.Units) + " " + strconv.FormatInt(r.At, 10) + " " + strconv.FormatInt(r.entered, 10) + " " + string(r.User)
}

// survivors reads held, which does not change while the sale is closed.
func (o *opening) survivors(ctx context.Context) (map[flashgate.OrderID]record, error) {
	all := map[flashgate.OrderID]record{}
	var cursor uint64
	for {
		page, next, err := o.client.HScan(ctx, saleKey(o.snapshot.Sale.ID, "held"), cursor, "", survivorsPage).Result()
		if err != nil {
			return nil, err
		}
		for i := 0; i+1 < len(page); i += 2 {
			r, err := readRecord(o.op, page[i], page[i+1])
			if err != nil {
				return nil, err
			}
			all[r.Order] = r
		}
		if cursor = next; cursor == 0 {
			return all, nil
		}
	}
}

// state is what a sale is opened with, besides the rows.
type state struct {
	held   map[flashgate.OrderID]record
	units  int64 // held
	outbox []flashgate.OrderID
	shares map[flashgate.UserID]share
}

// share is a user's: live and held.
type share struct {
	units int
	last  flashgate.OrderID
}

// nextState is what becomes of the survivors; it takes over the map. What has entered
// the outbox by a clock that was ahead of now has entered it now, so that it does not
// wait until then.
func nextState(snapshot flashgate.Snapshot, survivors map[flashgate.OrderID]record, now int64) *state {
	next := &state{held: survivors, shares: map[flashgate.UserID]share{}}
	for _, row := range snapshot.Orders {
		delete(next.held, row.Order)
		if row.Live {
			next.add(row.User, row.Units, row.Order)
		}
	}
	dead := make(map[flashgate.OrderID]bool, len(snapshot.Dead))
	for _, id := range snapshot.Dead {
		dead[id] = true
	}
	for id, r := range next.held {
		if r.entered > now {
			r.entered = now
			next.held[id] = r
		}
		next.units += int64(r.Units)
		next.add(r.User, r.Units, id)
		if !dead[id] {
			next.outbox = append(next.outbox, id)
		}
	}
	return next
}

func (s *state) add(user flashgate.UserID, units int, order flashgate.OrderID) {
	s.shares[user] = share{s.shares[user].units + units, order}
}

// stage writes the next state into keys of its own. They always have an end of life.
func (o *opening) stage(ctx context.Context, next *state) error {
	err := o.write(ctx, "HSET", o.buyers, func(yield func(a, b string) bool) {
		for _, row := range o.snapshot.Orders {
			if !yield("o:"+string(row.Order), strconv.Itoa(row.Units)+" "+string(row.User)) {
				return
			}
		}
		for user, share := range next.shares {
			if !yield("u:"+string(user), strconv.Itoa(share.units)+" "+string(share.last)) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	err = o.write(ctx, "HSET", o.held, func(yield func(a, b string) bool) {
		for id, r := range next.held {
			if !yield(string(id), r.String()) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return o.write(ctx, "ZADD", o.outbox, func(yield func(a, b string) bool) {
		for _, id := range next.outbox {
			if !yield(strconv.FormatInt(next.held[id].entered, 10), string(id)) {
				return
			}
		}
	})
}

// write calls a command that takes pairs as often as it needs. All of them can be
// repeated.
func (o *opening) write(ctx context.Context, command, key string, pairs iter.Seq2[string, string]) error {
	p := o.client.Pipeline()
	args := []any{command, key}
	var err error
	flush := func(least int) bool {
		if len(args) > 2 {
			p.Do(ctx, args...)
			p.PExpire(ctx, key, openLife)
			args = []any{command, key}
		}
		if p.Len() >= least {
			_, err = p.Exec(ctx)
		}
		return err == nil
	}
	for a, b := range pairs {
		if args = append(args, a, b); len(args) == 2+2*stagedPairs && !flush(2*stagedCommands) {
			return err
		}
	}
	flush(1)
	return err
}
