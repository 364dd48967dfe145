package shop

import (
	"context"
	"time"

	"flashgate"
)

// Limits of the demo. They are far above what a person does, and ban nobody.
var (
	loginRate        = flashgate.Rate{Limit: 60, Window: time.Minute}     // per address
	registrationRate = flashgate.Rate{Limit: 40, Window: time.Minute}     // per address
	failureRate      = flashgate.Rate{Limit: 10, Window: 5 * time.Minute} // wrong passwords per number and address
	sessionIdle      = 2 * time.Hour
	sessionLife      = 24 * time.Hour
)

// Config is what a Service needs; all ports are required.
type Config struct {
	Users    flashgate.UserStore
	Sessions flashgate.SessionStore
	Goods    flashgate.GoodsStore
	Sales    flashgate.SaleStore
	Orders   flashgate.OrderStore
	Stock    flashgate.Stock   // read only
	Limiter  flashgate.Limiter // of logins and registrations
	Keys     flashgate.Keys

	// Direct lets the shop place orders itself. Default: nil, the gateway's stock_gate does.
	Direct *Direct

	// Hash is the cost of passwords; the zero value is DefaultHash.
	Hash HashParams
	// MaxHashing is how many passwords are hashed at once, default 2. 32 times as
	// many may wait; the next is refused.
	MaxHashing int
}

// Service is safe for concurrent use.
type Service struct {
	cfg    Config
	hasher *hasher
}

// New checks the configuration; it touches no backend.
func New(cfg Config) (*Service, error) {
	const op = "shop.New"
	for name, missing := range map[string]bool{
		"users": cfg.Users == nil, "sessions": cfg.Sessions == nil, "goods": cfg.Goods == nil, "sales": cfg.Sales == nil,
		"orders": cfg.Orders == nil, "stock": cfg.Stock == nil, "limiter": cfg.Limiter == nil, "keys": cfg.Keys == nil,
	} {
		if missing {
			return nil, flashgate.Invalid(op, name, "is required")
		}
	}
	if cfg.Hash == (HashParams{}) {
		cfg.Hash = DefaultHash
	}
	if cfg.MaxHashing == 0 {
		cfg.MaxHashing = 2
	}
	if cfg.MaxHashing < 1 {
		return nil, flashgate.Invalid(op, "max_hashing", "must be at least 1")
	}
	if cfg.Direct != nil && (cfg.Direct.Placer == nil || cfg.Direct.OrderTTL <= 0) {
		return nil, flashgate.Invalid(op, "direct", "needs a placer and an order_ttl above zero")
	}
	h, err := newHasher(cfg.Hash, cfg.MaxHashing)
	if err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, hasher: h}, nil
}

// limit refuses what goes over a rate.
func (s *Service) limit(ctx context.Context, op, key string, r flashgate.Rate) error {
	v, err := flashgate.Allow(ctx, s.cfg.Limiter, key, r)
	if err != nil {
		return err
	}
	if !v.Allowed {
		return &flashgate.Error{Code: flashgate.CodeRateLimited, Op: op, Message: "Wait a little and try again.", RetryAfter: v.RetryAfter}
	}
	return nil
}
