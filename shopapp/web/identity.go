package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"flashgate"
	"flashgate/shopapp/shop"
)

// UserHeader is how the gateway tells the shop who is asking.
const UserHeader = "Flashgate-User"

// The session cookie: the name with the prefix is kept by browsers only when it came
// over TLS from this very host (RFC 6265bis, section 4.1.3.2).
const (
	cookieName    = "session"
	tlsCookieName = "__Host-session"
)

// fromGateway reports whether the peer may speak for somebody else.
func (s *Server) fromGateway(r *http.Request) bool {
	if !s.cfg.TrustGateway {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// user is who is asking; CodeUnauthenticated when nobody is logged in. Without a
// gateway that is trusted, the shop looks at the cookie itself.
func (s *Server) user(r *http.Request) (flashgate.User, error) {
	if s.fromGateway(r) {
		// Even so the gateway must have said it once: two headers are somebody's trick.
		if ids := r.Header.Values(UserHeader); len(ids) == 1 && ids[0] != "" {
			return s.shop.User(r.Context(), flashgate.UserID(ids[0]))
		}
		// Nobody, says the gateway. It says so as well while it cannot ask: a visitor
		// with a session is told that by the store, and not to log in again.
	}
	token := s.token(r)
	if token == "" {
		return flashgate.User{}, unauthenticated()
	}
	return s.shop.Whose(r.Context(), token)
}

func unauthenticated() error {
	return flashgate.Errorf(flashgate.CodeUnauthenticated, "web", "Log in and try again.")
}

func (s *Server) secure(r *http.Request) bool {
	return r.TLS != nil || s.fromGateway(r) && r.Header.Get("X-Forwarded-Proto") == "https"
}

// token is the session token that the visitor came with.
func (s *Server) token(r *http.Request) flashgate.SessionToken {
	name := cookieName
	if s.secure(r) {
		name = tlsCookieName
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return flashgate.SessionToken(c.Value)
}

// setSession writes the cookie of a login.
func (s *Server) setSession(w http.ResponseWriter, r *http.Request, l shop.Login) {
	s.cookie(w, r, string(l.Token), int(l.Life/time.Second))
}

func (s *Server) clearSession(w http.ResponseWriter, r *http.Request) { s.cookie(w, r, "", -1) }

func (s *Server) cookie(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	c := &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if s.secure(r) {
		c.Name, c.Secure = tlsCookieName, true
	}
	http.SetCookie(w, c)
}

// address is the visitor's, for limits: the last hop that the gateway saw, or the
// peer itself.
func (s *Server) address(r *http.Request) string {
	if s.fromGateway(r) {
		hops := strings.Split(r.Header.Get("X-Forwarded-For"), ",")
		if a, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1])); err == nil {
			return prefix(a)
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return prefix(a)
	}
	return host
}

// prefix takes an IPv6 address as its /64: a visitor has all of that.
func prefix(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}
