package web

import (
	"net/http"
	"sync"
	"time"

	"flashgate"
	"flashgate/shopapp/shop"

	"go.uber.org/zap"
)

// Config is what a Server needs; Shop is required.
type Config struct {
	Shop   *shop.Service
	Logger *zap.Logger // default: none

	// TrustGateway believes the headers Flashgate-User, X-Forwarded-For and
	// X-Forwarded-Proto of a peer on loopback. Set it only when the shop listens on
	// loopback, where nobody but the gateway reaches it.
	TrustGateway bool

	// Checks are the backends by name, for /readyz.
	Checks map[string]flashgate.Checker
}

// Server is the shop's HTTP side.
type Server struct {
	cfg     Config
	shop    *shop.Service
	log     *zap.Logger
	hub     *hub
	handler http.Handler
	closing chan struct{}
	close   sync.Once
}

// New builds the routes. Close it when the process stops.
func New(cfg Config) (*Server, error) {
	if cfg.Shop == nil {
		return nil, flashgate.Invalid("web.New", "shop", "is required")
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	s := &Server{cfg: cfg, shop: cfg.Shop, log: cfg.Logger, closing: make(chan struct{})}
	s.hub = newHub(cfg.Shop, cfg.Logger)
	mux := http.NewServeMux()
	s.apiRoutes(mux)
	if err := s.pageRoutes(mux); err != nil {
		return nil, err
	}
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(s.handle(func(http.ResponseWriter, *http.Request) error {
		return flashgate.Errorf(flashgate.CodeForbidden, "web", "This request came from another site.")
	}))
	s.handler = s.guard(secureHeaders(csrf.Handler(mux)))
	return s, nil
}

// Handler serves everything.
func (s *Server) Handler() http.Handler { return s.handler }

// Close ends all event streams. Other requests are not touched.
func (s *Server) Close() error {
	s.close.Do(func() { close(s.closing) })
	return nil
}

func (s *Server) apiRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /api/register":              s.register,
		"POST /api/login":                 s.login,
		"POST /api/logout":                s.logout,
		"GET /api/me":                     s.me,
		"GET /api/sales":                  s.listSales,
		"GET /api/sales/{sale}":           s.getSale,
		"GET /api/orders":                 s.listOrders,
		"GET /api/orders/{order}":         s.getOrder,
		"GET /api/orders/{order}/events":  s.orderEvents,
		"POST /api/orders/{order}/pay":    s.payOrder,
		"POST /api/orders/{order}/cancel": s.cancelOrder,
		"POST /api/admin/sales":           s.createSale,
		"PATCH /api/admin/sales/{sale}":   s.changeSale,
		"GET /healthz":                    s.healthz,
		"GET /readyz":                     s.readyz,
	} {
		mux.Handle(pattern, s.handle(h))
	}
	if s.shop.PlacesOrders() {
		mux.Handle("POST /api/sales/{sale}/orders", s.handle(s.placeOrder))
	}
	mux.Handle("/api/", s.handle(func(http.ResponseWriter, *http.Request) error {
		return flashgate.Errorf(flashgate.CodeNotFound, "web", "There is no such address in this API.")
	}))
}

// secureHeaders are the same for every answer. Everything that a page needs comes
// from this site.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz asks each backend.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	status, backends := http.StatusOK, map[string]string{}
	for name, c := range s.cfg.Checks {
		backends[name] = "ok"
		if err := c.Check(r.Context()); err != nil {
			status, backends[name] = http.StatusServiceUnavailable, "away"
			s.log.Warn("a backend is away", zap.String("backend", name), zap.Error(err))
		}
	}
	word := "ready"
	if status != http.StatusOK {
		word = "not_ready"
	}
	return writeJSON(w, status, map[string]any{"status": word, "backends": backends})
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
