package app

import (
	"sync"
	"time"

	"flashgate"
)

// maxSeen bounds how many sales are remembered.
const maxSeen = 10_000

// seenSales remembers which sales the server has had. One that comes back empty knows
// none of them any more; to a visitor such a sale is closed until the order worker has
// put it back together, and not one that nobody has heard of.
type seenSales struct {
	mu  sync.Mutex
	ids map[flashgate.SaleID]struct{}
}

func (s *seenSales) add(id flashgate.SaleID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.ids[id]; ok {
		return
	}
	if s.ids == nil || len(s.ids) >= maxSeen {
		s.ids = map[flashgate.SaleID]struct{}{} // forgetting costs a wrong word, no unit
	}
	s.ids[id] = struct{}{}
}

func (s *seenSales) has(id flashgate.SaleID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.ids[id]
	return ok
}

// judge notes a sale that the server has, and says of one that it had before that it
// is closed.
func (s *seenSales) judge(id flashgate.SaleID, err error) error {
	switch flashgate.ErrorCode(err) {
	case "":
		s.add(id)
	case flashgate.CodeNotFound:
		if s.has(id) {
			return &flashgate.Error{Code: flashgate.CodeSaleClosed, Op: "app.View", Message: "Try again in a moment.", RetryAfter: time.Second, Err: err}
		}
	}
	return err
}
