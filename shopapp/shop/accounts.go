package shop

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"flashgate"
)

// Registration is what a visitor fills in.
type Registration struct {
	Mobile   string
	Password string
	Name     string
}

// validate names the first field that is wrong.
func (r *Registration) validate() error {
	const op = "shop.Register"
	r.Name = strings.TrimSpace(r.Name)
	if err := ValidateMobile(r.Mobile); err != nil {
		return err
	}
	if len(r.Password) < 8 || len(r.Password) > 128 || !utf8.ValidString(r.Password) {
		return flashgate.Invalid(op, "password", "must be 8 to 128 bytes long")
	}
	n := utf8.RuneCountInString(r.Name)
	if n < 1 || n > 40 || strings.ContainsFunc(r.Name, unicode.IsControl) || !utf8.ValidString(r.Name) {
		return flashgate.Invalid(op, "name", "must be 1 to 40 characters long, without control characters")
	}
	return nil
}

// ValidateMobile checks the form of a mobile number: eleven digits, the first is 1.
func ValidateMobile(s string) error {
	bad := flashgate.Invalid("shop.ValidateMobile", "mobile", "must be a mobile number: 11 digits that begin with 1")
	if len(s) != 11 || s[0] != '1' {
		return bad
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return bad
		}
	}
	return nil
}

// Login is a fresh session: the token for the cookie, and whose it is.
type Login struct {
	Token flashgate.SessionToken
	User  flashgate.User
	Life  time.Duration // how long the session can last at most
}

// Register makes an account and logs its owner in. old is the token that the
// visitor came with, if any: it ends.
func (s *Service) Register(ctx context.Context, r Registration, address string, old flashgate.SessionToken) (Login, error) {
	const op = "shop.Register"
	if err := s.limit(ctx, op, "register/"+address, registrationRate); err != nil {
		return Login{}, err
	}
	if err := r.validate(); err != nil {
		return Login{}, err
	}
	hash, err := s.hasher.hash(ctx, r.Password)
	if err != nil {
		return Login{}, err
	}
	u := flashgate.User{ID: newUserID(), Mobile: r.Mobile, Name: r.Name, PasswordHash: hash, Role: flashgate.RoleCustomer, Created: time.Now()}
	if err := s.cfg.Users.CreateUsers(ctx, []flashgate.User{u}); err != nil {
		return Login{}, err
	}
	return s.begin(ctx, u, old)
}

// Login checks the password. A number that nobody has costs the same and gets the
// same answer as a wrong password.
func (s *Service) Login(ctx context.Context, mobile, password, address string, old flashgate.SessionToken) (Login, error) {
	const op = "shop.Login"
	if err := s.limit(ctx, op, "login/"+address, loginRate); err != nil {
		return Login{}, err
	}
	failed := flashgate.Errorf(flashgate.CodeLoginFailed, op, "Check both and try again.")
	u, err := s.cfg.Users.UserByMobile(ctx, mobile)
	if err != nil && flashgate.ErrorCode(err) != flashgate.CodeNotFound {
		return Login{}, err
	}
	ok, err := s.hasher.verify(ctx, u.PasswordHash, password)
	if err != nil {
		return Login{}, err
	}
	if !ok {
		// Counted by number and address: guessing slows down for the guesser, and nobody
		// can lock another one out.
		if err := s.limit(ctx, op, "login failed/"+mobile+"/"+address, failureRate); err != nil {
			return Login{}, err
		}
		return Login{}, failed
	}
	return s.begin(ctx, u, old)
}

// begin makes a new session. The old one ends, so that a token which somebody
// planted before the login is worth nothing after it (session fixation).
func (s *Service) begin(ctx context.Context, u flashgate.User, old flashgate.SessionToken) (Login, error) {
	if old != "" {
		if err := s.cfg.Sessions.DeleteSession(ctx, old.Key()); err != nil {
			return Login{}, err
		}
	}
	token, ses := newSession(u)
	if err := s.cfg.Sessions.CreateSession(ctx, ses); err != nil {
		return Login{}, err
	}
	return Login{Token: token, User: u, Life: sessionLife}, nil
}

func newSession(u flashgate.User) (flashgate.SessionToken, flashgate.Session) {
	token, now := flashgate.NewSessionToken(), time.Now()
	return token, flashgate.Session{Key: token.Key(), User: u.ID, Role: u.Role, Created: now, Expires: now.Add(sessionLife), Idle: sessionIdle}
}

// Logout ends a session at once, everywhere. Without a session it does nothing.
func (s *Service) Logout(ctx context.Context, token flashgate.SessionToken) error {
	if token == "" {
		return nil
	}
	return s.cfg.Sessions.DeleteSession(ctx, token.Key())
}

// Whose gives the user of a session; CodeUnauthenticated without one.
func (s *Service) Whose(ctx context.Context, token flashgate.SessionToken) (flashgate.User, error) {
	ses, err := s.cfg.Sessions.Session(ctx, token.Key())
	if err != nil {
		return flashgate.User{}, err
	}
	return s.User(ctx, ses.User)
}

// User reads a user; one that is gone is CodeUnauthenticated.
func (s *Service) User(ctx context.Context, id flashgate.UserID) (flashgate.User, error) {
	u, err := s.cfg.Users.User(ctx, id)
	if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		return u, flashgate.Errorf(flashgate.CodeUnauthenticated, "shop.User", "Log in again.")
	}
	return u, err
}

// newUserID draws an id that says nothing about its user.
func newUserID() flashgate.UserID {
	var b [12]byte
	rand.Read(b[:])
	return flashgate.UserID("u" + base64.RawURLEncoding.EncodeToString(b[:]))
}
