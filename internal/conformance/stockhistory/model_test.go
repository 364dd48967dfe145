package stockhistory

import (
	"fmt"
	"testing"
	"time"

	"flashgate"

	"github.com/anishathalye/porcupine"
)

// sale is one of 2 units, 1 for each user, with a reservation by each of three and a
// second one by the first.
func sale() *Sale {
	var rs []flashgate.Reservation
	for i, user := range []flashgate.UserID{"a", "b", "c", "a"} {
		rs = append(rs, flashgate.Reservation{Order: flashgate.OrderID(fmt.Sprint("s.", i)), User: user, Units: 1})
	}
	return NewSale(flashgate.Sale{ID: "s", Seeded: 2, PerUser: 1}, rs)
}

// call is one of a history that is written by hand, in any unit of time.
type call struct {
	from, to int64
	in       input
	out      output
}

func (s *Sale) reserves(from, to int64, i int, o flashgate.Outcome) call {
	return call{from, to, input{Sale: s, verb: reserve, rs: s.Reservations[i : i+1]}, output{reserved: []flashgate.Reserved{{Outcome: o}}}}
}

// at says which seq was applied when a reservation was answered.
func (c call) at(applied uint64) call {
	c.out.reserved[0].Applied = applied
	return c
}

func (s *Sale) lostReserve(from int64, i int) call {
	return call{from, never, input{Sale: s, verb: reserve, rs: s.Reservations[i : i+1]}, output{unknown: true}}
}

func (s *Sale) views(from, to, free, held int64, applied uint64) call {
	return call{from, to, input{Sale: s, verb: view}, output{view: flashgate.StockView{Free: free, Held: held, Applied: applied}}}
}

func (s *Sale) applies(from, to int64, applied uint64, es ...flashgate.LogEntry) call {
	return call{from, to, input{Sale: s, verb: apply, entries: es}, output{applied: applied}}
}

func (s *Sale) entry(seq uint64, kind flashgate.ChangeKind, i int) flashgate.LogEntry {
	r := s.Reservations[i]
	return flashgate.LogEntry{Seq: seq, Changes: []flashgate.Change{{Kind: kind, Order: r.Order, User: r.User, Units: 1}}}
}

// TestModel: what is told apart, history by history.
func TestModel(t *testing.T) {
	t.Parallel()
	const (
		yes     = flashgate.OutcomePublish
		known   = flashgate.OutcomeAccepted
		soldOut = flashgate.OutcomeSoldOut
		bought  = flashgate.OutcomeAlreadyBought
		unset   = flashgate.OutcomeUnset
	)
	s := sale()
	placed, cancelled := s.entry(1, flashgate.ChangePlaced, 0), s.entry(2, flashgate.ChangeCancelled, 0)
	for name, c := range map[string]struct {
		legal bool
		calls []call
	}{
		"one after the other":              {true, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 1, yes), s.reserves(5, 6, 2, soldOut)}},
		"oversold":                         {false, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 1, yes), s.reserves(5, 6, 2, yes)}},
		"oversold at the same time":        {false, []call{s.reserves(1, 6, 0, yes), s.reserves(1, 6, 1, yes), s.reserves(1, 6, 2, yes)}},
		"sold out for no reason":           {false, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 2, soldOut)}},
		"sold out by who came later":       {false, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 2, soldOut), s.reserves(5, 6, 1, yes)}},
		"sold out by who was faster":       {true, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 6, 2, soldOut), s.reserves(4, 9, 1, yes)}},
		"over the limit":                   {false, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 3, yes)}},
		"the limit":                        {true, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 3, bought)}},
		"a repeat":                         {true, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 0, yes), s.views(5, 6, 1, 1, 0)}},
		"a repeat takes a unit":            {false, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 0, yes), s.views(5, 6, 0, 2, 0)}},
		"a repeat that is unknown":         {false, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 0, bought)}},
		"a lost call that took effect":     {true, []call{s.lostReserve(1, 0), s.reserves(3, 4, 3, bought)}},
		"a lost call that never did":       {true, []call{s.lostReserve(1, 0), s.reserves(3, 4, 3, yes), s.reserves(5, 6, 0, bought)}},
		"a lost call that did later":       {true, []call{s.lostReserve(1, 0), s.views(3, 4, 2, 0, 0), s.views(9, 10, 1, 1, 0)}},
		"a lost call that did and did not": {false, []call{s.lostReserve(1, 0), s.views(3, 4, 1, 1, 0), s.views(9, 10, 2, 0, 0)}},
		"an effect before its call":        {false, []call{s.views(1, 2, 1, 1, 0), s.lostReserve(3, 0)}},
		"an unset answer of a refusal":     {true, []call{s.reserves(1, 2, 0, yes), s.reserves(3, 4, 3, unset)}},
		"an unset answer of a hold":        {false, []call{s.reserves(1, 2, 0, unset), s.views(3, 4, 1, 1, 0)}},
		"a stale view":                     {false, []call{s.reserves(1, 2, 0, yes), s.views(3, 4, 2, 0, 0)}},
		"a view of two moments":            {false, []call{s.reserves(1, 2, 0, yes), s.applies(3, 9, 1, placed), s.views(3, 9, 1, 1, 1)}},
		"placed":                           {true, []call{s.reserves(1, 2, 0, yes), s.applies(3, 4, 1, placed), s.views(5, 6, 1, 0, 1), s.reserves(7, 8, 0, known).at(1)}},
		"placed, and forgotten":            {false, []call{s.reserves(1, 2, 0, yes), s.applies(3, 4, 1, placed), s.reserves(7, 8, 0, yes).at(1)}},
		"applied twice":                    {true, []call{s.reserves(1, 2, 0, yes), s.applies(3, 4, 1, placed), s.applies(5, 6, 2, placed, cancelled), s.views(7, 8, 2, 0, 2)}},
		"applied twice, counted twice":     {false, []call{s.reserves(1, 2, 0, yes), s.applies(3, 4, 1, placed), s.applies(5, 6, 1, placed), s.views(7, 8, 0, 0, 1)}},
		"cancelled":                        {true, []call{s.applies(1, 2, 2, placed, cancelled), s.reserves(3, 4, 0, known).at(2), s.reserves(5, 6, 3, yes).at(2)}},
		"cancelled, and the share is kept": {false, []call{s.applies(1, 2, 2, placed, cancelled), s.reserves(5, 6, 3, bought).at(2)}},
		"an answer of an earlier seq":      {false, []call{s.applies(1, 2, 2, placed, cancelled), s.reserves(3, 4, 0, known).at(1)}},
	} {
		var history []porcupine.Operation
		for i, one := range c.calls {
			history = append(history, porcupine.Operation{ClientId: i, Input: one.in, Call: one.from, Output: one.out, Return: one.to})
		}
		want := porcupine.Illegal
		if c.legal {
			want = porcupine.Ok
		}
		if got := porcupine.CheckOperationsTimeout(model, history, time.Minute); got != want {
			t.Errorf("%s: %s, want %s:\n%s", name, got, want, text(history))
		}
	}
}

// TestModelShared is the same of a gate that shares its transactions with the database.
func TestModelShared(t *testing.T) {
	t.Parallel()
	s := sale()
	s.Shared = true
	const yes = flashgate.OutcomeAccepted
	decides := func(from, to int64, i int, status flashgate.Status, duplicate bool) call {
		r := s.Reservations[i]
		return call{from, to, input{Sale: s, verb: decide, rs: []flashgate.Reservation{r}},
			output{decisions: []flashgate.Decision{{Order: r.Order, Status: status, Duplicate: duplicate}}}}
	}
	cancels := func(from, to int64, i int, found bool) call {
		return call{from, to, input{Sale: s, verb: cancel, id: s.Reservations[i].Order}, output{cancelled: found}}
	}
	held := func(from, to int64, i int, is bool) call {
		return call{from, to, input{Sale: s, verb: held, id: s.Reservations[i].Order}, output{held: is}}
	}
	const pending, gone = flashgate.StatusPending, flashgate.StatusCancelled
	for name, c := range map[string]struct {
		legal bool
		calls []call
	}{
		"a life":                      {true, []call{s.reserves(1, 2, 0, yes), decides(3, 4, 0, pending, false), cancels(5, 6, 0, true), decides(7, 8, 0, gone, true), s.views(9, 10, 2, 0, 2)}},
		"decided twice":               {false, []call{s.reserves(1, 2, 0, yes), decides(3, 4, 0, pending, false), decides(5, 6, 0, pending, false)}},
		"a cancel without an order":   {true, []call{s.reserves(1, 2, 0, yes), cancels(3, 4, 0, false), held(5, 6, 0, true)}},
		"a cancel that came too late": {false, []call{s.reserves(1, 2, 0, yes), decides(3, 4, 0, pending, false), cancels(5, 6, 0, false)}},
		"cancelled twice":             {true, []call{s.reserves(1, 2, 0, yes), decides(3, 4, 0, pending, false), cancels(5, 9, 0, true), cancels(5, 9, 0, true), s.views(10, 11, 2, 0, 2)}},
		"gives back twice":            {false, []call{s.reserves(1, 2, 0, yes), decides(3, 4, 0, pending, false), cancels(5, 9, 0, true), cancels(5, 9, 0, true), s.views(10, 11, 3, 0, 3)}},
		"held after its decision":     {false, []call{s.reserves(1, 2, 0, yes), decides(3, 4, 0, pending, false), held(5, 6, 0, true)}},
	} {
		var history []porcupine.Operation
		for i, one := range c.calls {
			history = append(history, porcupine.Operation{ClientId: i, Input: one.in, Call: one.from, Output: one.out, Return: one.to})
		}
		if got := porcupine.CheckOperationsTimeout(model, history, time.Minute); (got == porcupine.Ok) != c.legal || got == porcupine.Unknown {
			t.Errorf("%s: %s\n%s", name, got, text(history))
		}
	}
}
