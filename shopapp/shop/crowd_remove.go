package shop

import (
	"context"
	"slices"

	"flashgate"
)

// crowdAtOnce is how many members are asked for, or logged out, at a time.
const crowdAtOnce = 500

// CheckCrowd makes sure that all are members of a crowd, or gone. CodeForbidden for a
// real customer, or for a member whose number is another's.
func (s *Service) CheckCrowd(ctx context.Context, members []Member) error {
	const op = "shop.CheckCrowd"
	return eachMember(members, func(m Member) error {
		if !crowdMobile.MatchString(m.Mobile) {
			return flashgate.Errorf(flashgate.CodeForbidden, op, "%q is not the number of a load test's user: nobody is taken away.", m.Mobile)
		}
		u, err := s.cfg.Users.User(ctx, m.User)
		switch {
		case flashgate.ErrorCode(err) == flashgate.CodeNotFound:
			return nil
		case err != nil:
			return err
		case u.Mobile != m.Mobile || u.Role != flashgate.RoleCustomer:
			return flashgate.Errorf(flashgate.CodeForbidden, op, "User %s is not the load test's user with the number %s: nobody is taken away.", m.User, m.Mobile)
		}
		return nil
	})
}

// RemoveCrowd takes members away with all their sessions. Idempotent. Besides the errors
// of CheckCrowd: CodeWrongState, and everybody stays, when one of them still has an
// order, which would be nobody's.
func (s *Service) RemoveCrowd(ctx context.Context, members []Member) error {
	const op = "shop.RemoveCrowd"
	remover, ok := s.cfg.Users.(flashgate.UserRemover)
	if !ok {
		return flashgate.Errorf(flashgate.CodeInternal, op, "This store of users cannot remove any.")
	}
	if err := s.CheckCrowd(ctx, members); err != nil {
		return err
	}
	err := eachMember(members, func(m Member) error {
		orders, err := s.cfg.Orders.OrdersOf(ctx, m.User, 1)
		if err == nil && len(orders) > 0 {
			err = flashgate.Errorf(flashgate.CodeWrongState, op, "User %s has an order in sale %s: take that sale away first.", m.User, orders[0].Sale)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := eachMember(members, func(m Member) error { return s.cfg.Sessions.DeleteSessionsOf(ctx, m.User) }); err != nil {
		return err
	}
	ids := make([]flashgate.UserID, len(members))
	for i, m := range members {
		ids[i] = m.User
	}
	return remover.RemoveUsers(ctx, ids)
}

// eachMember calls f for many at once, so that the store can share its round trips, and
// returns the first error after all of those have returned.
func eachMember(members []Member, f func(Member) error) error {
	for some := range slices.Chunk(members, crowdAtOnce) {
		errs := make(chan error, len(some))
		for _, m := range some {
			go func() { errs <- f(m) }()
		}
		var first error
		for range some {
			if err := <-errs; err != nil && first == nil {
				first = err
			}
		}
		if first != nil {
			return first
		}
	}
	return nil
}
