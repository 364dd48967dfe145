package shop

import (
	"context"
	"fmt"
	"regexp"
	"sync/atomic"
	"time"

	"flashgate"
)

// Member is one of a crowd: a user with a session.
type Member struct {
	User   flashgate.UserID
	Mobile string
	Token  flashgate.SessionToken
}

// CrowdPassword is the password of every member of a crowd.
const CrowdPassword = "crowd-of-testers"

var crowds atomic.Int64

// crowdMobile is the form of a member's number: 16 digits, which no visitor can have.
var crowdMobile = regexp.MustCompile(`^9[0-9]{15}$`)

// crowdBatch is how many users are written at once.
const crowdBatch = 500

// CreateCrowd makes n customers with a session each, for tests under load. Their
// passwords are hashed at the cost of TestHash: never call it on a real shop. When it
// fails, or ctx ends, those that were made are taken away again.
func (s *Service) CreateCrowd(ctx context.Context, n int) (members []Member, err error) {
	const op = "shop.CreateCrowd"
	if n < 1 || n > 1_000_000 {
		return nil, flashgate.Invalid(op, "n", "must be between 1 and 1000000")
	}
	h, err := newHasher(TestHash, 4)
	if err != nil {
		return nil, err
	}
	// A batch is written to its end: what becomes of a write that was left is not known.
	whole := context.WithoutCancel(ctx)
	prefix := fmt.Sprintf("9%09d", (time.Now().UnixMicro()+crowds.Add(1))%1_000_000_000)
	for len(members) < n {
		if err := context.Cause(ctx); err != nil {
			return nil, s.withoutCrowd(whole, members, err)
		}
		users := make([]flashgate.User, 0, crowdBatch)
		for i := len(members); i < min(n, len(members)+crowdBatch); i++ {
			hash, err := h.hash(whole, CrowdPassword)
			if err != nil {
				return nil, s.withoutCrowd(whole, members, err)
			}
			users = append(users, flashgate.User{ID: newUserID(), Mobile: fmt.Sprintf("%s%06d", prefix, i), Name: fmt.Sprint("Tester ", i+1),
				PasswordHash: hash, Role: flashgate.RoleCustomer, Created: time.Now()})
		}
		some, err := s.members(whole, users)
		if members = append(members, some...); err != nil {
			return nil, s.withoutCrowd(whole, members, err)
		}
	}
	return members, nil
}

// withoutCrowd takes members away, and returns why.
func (s *Service) withoutCrowd(ctx context.Context, members []Member, why error) error {
	if len(members) == 0 {
		return why
	}
	if err := s.RemoveCrowd(ctx, members); err != nil {
		return fmt.Errorf("%w; %d users with numbers from %s on were left behind: %w", why, len(members), members[0].Mobile, err)
	}
	return why
}

// members writes users and logs them in. Those of an error may be there or not.
func (s *Service) members(ctx context.Context, users []flashgate.User) ([]Member, error) {
	err := s.cfg.Users.CreateUsers(ctx, users)
	if err == nil {
		return s.sessions(ctx, users)
	}
	out := make([]Member, len(users))
	for i, u := range users {
		out[i] = Member{User: u.ID, Mobile: u.Mobile}
	}
	return out, err
}

// sessions logs many users in at once, so that the store can share its commits.
func (s *Service) sessions(ctx context.Context, users []flashgate.User) ([]Member, error) {
	out := make([]Member, len(users))
	errs := make(chan error, len(users))
	for i, u := range users {
		token, ses := newSession(u)
		out[i] = Member{User: u.ID, Mobile: u.Mobile, Token: token}
		go func() { errs <- s.cfg.Sessions.CreateSession(ctx, ses) }()
	}
	var first error
	for range users {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return out, first
}
