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

// CreateCrowd makes n customers with a session each, for tests under load. Their
// passwords are hashed at the cost of TestHash: never call it on a real shop. After an
// error they are those who may have been made, so that RemoveCrowd can take them away.
func (s *Service) CreateCrowd(ctx context.Context, n int) ([]Member, error) {
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
	out := make([]Member, 0, n)
	for len(out) < n {
		if err := context.Cause(ctx); err != nil {
			return out, err
		}
		users := make([]flashgate.User, 0, 500)
		for i := len(out); i < min(n, len(out)+500); i++ {
			hash, err := h.hash(whole, CrowdPassword)
			if err != nil {
				return out, err
			}
			users = append(users, flashgate.User{ID: newUserID(), Mobile: fmt.Sprintf("%s%06d", prefix, i), Name: fmt.Sprint("Tester ", i+1),
				PasswordHash: hash, Role: flashgate.RoleCustomer, Created: time.Now()})
		}
		if err := s.cfg.Users.CreateUsers(whole, users); err != nil {
			for _, u := range users { // the commit's answer may be what was lost
				out = append(out, Member{User: u.ID, Mobile: u.Mobile})
			}
			return out, err
		}
		members, err := s.sessions(whole, users)
		out = append(out, members...)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// sessions logs many users in at once, so that the store can share its commits. It
// returns all of them, also with an error.
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
