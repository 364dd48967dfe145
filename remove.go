package flashgate

import "context"

// What takes away again what was made for a test. Gateways, shop and worker never call it.

// SaleRemoval names a sale that is to be taken away, and what must be true of it.
type SaleRemoval struct {
	Sale SaleID
	// At is the epoch and the seq at which the caller has seen the sale at rest. At
	// another one somebody has changed it since.
	At Position
	// Buyers are the only ones who may have ordered: a real customer's order is never
	// taken away by mistake.
	Buyers []UserID
}

// Stranger finds somebody who is not among Buyers: a buyer, or whose order is a dead
// letter that an operator can still replay.
func (r SaleRemoval) Stranger(buyers []UserID, letters []DeadLetter) (stranger UserID, found bool) {
	for _, d := range letters {
		if order, ok := d.Reservation(); ok {
			buyers = append(buyers, order.User)
		}
	}
	mine := make(map[UserID]struct{}, len(r.Buyers))
	for _, user := range r.Buyers {
		mine[user] = struct{}{}
	}
	for _, user := range buyers {
		if _, ok := mine[user]; !ok {
			return user, true
		}
	}
	return "", false
}

// AuditSaleRemoved is the Action of the audit that remembers of a sale that it was removed.
const AuditSaleRemoved = "sale_removed"

// SaleRemover is implemented by a SaleStore that can take a sale away.
type SaleRemover interface {
	// RemoveSale deletes, in one transaction, a sale with its orders, buyers, log and dead
	// letters; where gate and database share transactions, with its gate as well, and where
	// they do not, with an audit of AuditSaleRemoved. Events that wait are still delivered,
	// and audits stay. A sale that is not there is no error, and what late messages have
	// left of it goes.
	//
	// CodeForbidden, and nothing is deleted: it has an order of somebody else, or a dead
	// letter that can be replayed. That is found first, so whoever wants to know it before
	// a sale is closed asks with the zero At, at which no sale is.
	// CodeWrongState likewise: it has not ended by the database's clock, or is not at At.
	// Where gate and database share transactions, also while something is held that has no
	// dead letter, or a message of the sale is in the queue. Where they do not, only the
	// caller can know that: a message that comes later makes a dead letter of an unknown
	// sale.
	//
	// Gateways remember of an id that it was sold out: never make another sale under it.
	RemoveSale(ctx context.Context, r SaleRemoval) error
}

// GateRemover is implemented by a Stock that lives apart from the database.
type GateRemover interface {
	// RemoveGate deletes what the gate knows of a sale that is no longer in the database:
	// with one that still is, the order worker would open it again. For ten minutes it
	// remembers the sale as closed, so that an opening which began before cannot finish.
	// Idempotent. CodeWrongState while the gate would still sell: its window is not over.
	RemoveGate(ctx context.Context, sale SaleID) error
}

// UserRemover is implemented by a UserStore that can take users away.
type UserRemover interface {
	// RemoveUsers deletes users, however many. Their sessions and orders are the caller's
	// business. Idempotent.
	RemoveUsers(ctx context.Context, ids []UserID) error
}
