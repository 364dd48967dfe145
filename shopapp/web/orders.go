package web

import (
	"context"
	"net/http"

	"flashgate"
)

// orderBody is an order on the wire. What is not known of an undecided order is left
// out.
type orderBody struct {
	Order     flashgate.OrderID `json:"order"`
	Sale      flashgate.SaleID  `json:"sale"`
	Status    flashgate.Status  `json:"status"`
	Reason    string            `json:"reason,omitempty"`
	Units     int               `json:"units,omitempty"`
	Price     int64             `json:"price,omitempty"` // of one unit, minor units
	CreatedAt string            `json:"created_at,omitempty"`
	ExpiresAt string            `json:"expires_at,omitempty"` // when an unpaid order is cancelled
	UpdatedAt string            `json:"updated_at,omitempty"`
}

func wireOrder(o flashgate.Order) orderBody {
	b := orderBody{Order: o.ID, Sale: o.Sale, Status: o.Status, Reason: o.Reason, Units: o.Units, Price: o.Price,
		CreatedAt: rfc3339(o.Created), UpdatedAt: rfc3339(o.Updated)}
	if o.Status == flashgate.StatusPending {
		b.ExpiresAt = rfc3339(o.Expires)
	}
	return b
}

func (s *Server) listOrders(w http.ResponseWriter, r *http.Request) error {
	u, err := s.user(r)
	if err != nil {
		return err
	}
	orders, err := s.shop.OrdersOf(r.Context(), u.ID)
	if err != nil {
		return err
	}
	out := make([]orderBody, len(orders))
	for i, o := range orders {
		out[i] = wireOrder(o)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"orders": out})
}

func (s *Server) getOrder(w http.ResponseWriter, r *http.Request) error {
	return s.withOrder(w, r, s.shop.Order)
}

func (s *Server) payOrder(w http.ResponseWriter, r *http.Request) error {
	return s.withOrder(w, r, s.shop.SimulatedPayment)
}

func (s *Server) cancelOrder(w http.ResponseWriter, r *http.Request) error {
	return s.withOrder(w, r, s.shop.Cancel)
}

// withOrder does one thing with the asking user's order.
func (s *Server) withOrder(w http.ResponseWriter, r *http.Request, do func(context.Context, flashgate.OrderID, flashgate.UserID) (flashgate.Order, error)) error {
	u, err := s.user(r)
	if err != nil {
		return err
	}
	o, err := do(r.Context(), flashgate.OrderID(r.PathValue("order")), u.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, wireOrder(o))
}
