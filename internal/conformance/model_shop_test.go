package conformance_test

import (
	"context"
	"maps"
	"sync"
	"time"

	"flashgate"
)

// shop is a model of the shop's tables: SessionStore, UserStore and GoodsStore.
type shop struct {
	mu       sync.Mutex
	sessions map[flashgate.SessionKey]*login
	users    map[flashgate.UserID]flashgate.User
	goods    map[flashgate.GoodsID]flashgate.Goods
}

type login struct {
	flashgate.Session
	seen time.Time
}

func newShop() *shop {
	return &shop{sessions: map[flashgate.SessionKey]*login{}, users: map[flashgate.UserID]flashgate.User{}, goods: map[flashgate.GoodsID]flashgate.Goods{}}
}

func (s *shop) CreateSession(ctx context.Context, ses flashgate.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[ses.Key] = &login{ses, time.Now()}
	return nil
}

func (s *shop) Session(ctx context.Context, key flashgate.SessionKey) (flashgate.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, now := s.sessions[key], time.Now()
	switch {
	case l == nil,
		!now.Before(l.Expires) && !planted("session: no absolute end"),
		now.Sub(l.seen) >= l.Idle && !planted("session: no idle end"):
		return flashgate.Session{}, flashgate.Errorf(flashgate.CodeUnauthenticated, "model.Session", "over")
	}
	if !planted("session: use is not counted") {
		l.seen = now
	}
	if planted("session: role forgotten") {
		l.Role = flashgate.RoleCustomer
	}
	return l.Session, nil
}

func (s *shop) DeleteSession(ctx context.Context, key flashgate.SessionKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, key)
	return nil
}

func (s *shop) DeleteSessionsOf(ctx context.Context, user flashgate.UserID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, l := range s.sessions {
		if l.User == user {
			delete(s.sessions, key)
			if planted("session: one of the user's stays") {
				break
			}
		}
	}
	return nil
}

// cachingSessions is a second view that asks the shop once for each key.
type cachingSessions struct {
	*shop
	cache sync.Map
}

func (c *cachingSessions) Session(ctx context.Context, key flashgate.SessionKey) (flashgate.Session, error) {
	if !planted("session: cache outlives the logout") {
		return c.shop.Session(ctx, key)
	}
	if s, ok := c.cache.Load(key); ok {
		return s.(flashgate.Session), nil
	}
	s, err := c.shop.Session(ctx, key)
	if err == nil {
		c.cache.Store(key, s)
	}
	return s, err
}

func (s *shop) CreateUsers(ctx context.Context, us []flashgate.User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.users
	if !planted("users: a part is written") {
		next = maps.Clone(s.users)
	}
	mobiles := map[string]bool{}
	for _, u := range next {
		mobiles[u.Mobile] = true
	}
	yield(&s.mu, "users: number looked up before it is written")
	for _, u := range us {
		if mobiles[u.Mobile] && !planted("users: number not unique") {
			return flashgate.Errorf(flashgate.CodeMobileTaken, "model.CreateUsers", "taken")
		}
		mobiles[u.Mobile] = true
		next[u.ID] = u
	}
	s.users = next
	return nil
}

func (s *shop) User(ctx context.Context, id flashgate.UserID) (flashgate.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.users[id]; ok {
		return u, nil
	}
	return flashgate.User{}, notFound("model.User")
}

func (s *shop) UserByMobile(ctx context.Context, mobile string) (flashgate.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if u.Mobile == mobile || planted("users: number by its end") && mobile != "" && len(mobile) < len(u.Mobile) && u.Mobile[1:] == mobile {
			return u, nil
		}
	}
	return flashgate.User{}, notFound("model.UserByMobile")
}

func (s *shop) PutGoods(ctx context.Context, g flashgate.Goods) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.goods[g.ID]; !ok || !planted("goods: never replaced") {
		s.goods[g.ID] = g
	}
	return nil
}

func (s *shop) Goods(ctx context.Context, id flashgate.GoodsID) (flashgate.Goods, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, ok := s.goods[id]; ok {
		return g, nil
	}
	return flashgate.Goods{}, notFound("model.Goods")
}

var (
	_ flashgate.SessionStore = (*shop)(nil)
	_ flashgate.UserStore    = (*shop)(nil)
	_ flashgate.GoodsStore   = (*shop)(nil)
)
