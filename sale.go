package flashgate

import (
	"context"
	"time"
)

// MaxUnits is the most units that one reservation may ask for.
const MaxUnits = 1000

// SaleID names a sale: 1 to 32 characters of A-Z a-z 0-9 _ and -. It is part of
// every order id and of the address of every route of the sale.
type SaleID string

// ParseSaleID checks the form of a sale id.
func ParseSaleID(s string) (SaleID, error) {
	if s == "" || len(s) > 32 {
		return "", Invalid("flashgate.ParseSaleID", "sale", "must be 1 to 32 characters of A-Z a-z 0-9 _ -")
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return "", Invalid("flashgate.ParseSaleID", "sale", "must be 1 to 32 characters of A-Z a-z 0-9 _ -")
		}
	}
	return SaleID(s), nil
}

// Phase says where a sale stands on a clock.
type Phase string

// The phases of a sale.
const (
	PhaseUpcoming Phase = "upcoming"
	PhaseOpen     Phase = "open"
	PhaseEnded    Phase = "ended"
)

// PhaseAt places now in the half-open window [starts, ends).
func PhaseAt(now, starts, ends time.Time) Phase {
	switch {
	case !now.Before(ends):
		return PhaseEnded
	case now.Before(starts):
		return PhaseUpcoming
	default:
		return PhaseOpen
	}
}

// Sale is one product at one flash price, in a window, with a number of units.
type Sale struct {
	ID         SaleID
	Goods      GoodsID
	FlashPrice int64 // minor units (cents, fen); not negative
	Starts     time.Time
	Ends       time.Time // exclusive
	PerUser    int       // units that one user may hold; at least 1
	Seeded     int64     // units seeded and restocked since
	StockLeft  int64     // Seeded minus the units of live orders (pending, paid)
	Seq        uint64    // number of the last decision batch or change
	Epoch      uint64    // raised by each reconciliation; 1 until the gate is opened apart from the database
}

// Validate checks a sale that is about to be created.
func (s *Sale) Validate() error {
	const op = "flashgate.Sale"
	if _, err := ParseSaleID(string(s.ID)); err != nil {
		return err
	}
	switch {
	case s.Goods == "":
		return Invalid(op, "goods", "must name a product")
	case s.FlashPrice < 0 || s.FlashPrice > MaxPrice:
		return Invalid(op, "flash_price", "must be between 0 and %d minor units", int64(MaxPrice))
	case !s.Starts.Before(s.Ends):
		return Invalid(op, "ends_at", "must be later than starts_at")
	case s.PerUser < 1 || s.PerUser > MaxUnits:
		return Invalid(op, "per_user", "must be between 1 and %d", MaxUnits)
	case s.Seeded < 0 || s.Seeded > MaxStock:
		return Invalid(op, "stock", "must be between 0 and %d", int64(MaxStock))
	}
	return nil
}

// MaxStock bounds the units of one sale; MaxPrice bounds a price in minor units.
const (
	MaxStock = 1_000_000_000
	MaxPrice = 1_000_000_000_000
)

// SaleChange is an operator's change. Nil and zero fields change nothing.
type SaleChange struct {
	Starts  *time.Time
	Ends    *time.Time
	Close   bool  // end the sale now, by the database's clock
	Restock int64 // units to add; not negative
}

// Validate checks what can be checked without the sale.
func (c SaleChange) Validate() error {
	const op = "flashgate.SaleChange"
	switch {
	case c.Restock < 0 || c.Restock > MaxStock:
		return Invalid(op, "restock", "must be between 0 and %d units", int64(MaxStock))
	case c.Close && c.Ends != nil:
		return Invalid(op, "ends_at", "leave it out when closing: a close ends the sale now")
	case c.Starts != nil && c.Ends != nil && !c.Starts.Before(*c.Ends):
		return Invalid(op, "ends_at", "must be later than starts_at")
	}
	return nil
}

// ValidateFor checks a change against the sale as it is now: units of a sale that is
// over, and that the change does not open again, could be bought by nobody. CodeEnded.
// The stores do not ask that; whoever takes the operator's wish does.
func (c SaleChange) ValidateFor(s Sale, now time.Time) error {
	ends := s.Ends
	if c.Ends != nil {
		ends = *c.Ends
	}
	if c.Restock == 0 || now.Before(s.Ends) || now.Before(ends) {
		return nil
	}
	return Errorf(CodeEnded, "flashgate.SaleChange", "The sale has ended at %s: open it again first, or in the same change.", ends.UTC().Format(time.RFC3339))
}

// SaleStore keeps the sales. The database is the authority; the gate follows it.
//
// Every method returns an *Error: CodeNotFound for an unknown sale,
// CodeUnavailable when the database is away or the context ends first. After such
// an error a write may or may not have happened: read before repeating.
type SaleStore interface {
	// CreateSale writes the sale with StockLeft = Seeded, Epoch 1 and Seq 0, and
	// seeds the gate. An id that exists is CodeInvalid on the field "id"; nil
	// means durable.
	CreateSale(ctx context.Context, s Sale) error
	// Sale reads one sale.
	Sale(ctx context.Context, id SaleID) (Sale, error)
	// Sales reads all sales by id.
	Sales(ctx context.Context) ([]Sale, error)
	// ChangeSale opens, closes, moves or restocks a sale in one transaction and
	// returns it as it is afterwards. Restocking is not idempotent. Nil means
	// durable and, where gate and database share a transaction, visible at the
	// gate.
	ChangeSale(ctx context.Context, id SaleID, c SaleChange) (Sale, error)
}
