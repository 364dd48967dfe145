package web

import (
	"errors"
	"net/http"

	"flashgate"
)

// OrderHeader is how the gateway tells the shop which order id it has minted.
const OrderHeader = "Flashgate-Order"

// placeOrder is the purchase of a shop that places orders itself. The answers are those
// of the gate, but that the order is decided already.
func (s *Server) placeOrder(w http.ResponseWriter, r *http.Request) error {
	u, err := s.user(r)
	if err != nil {
		return err
	}
	sale, err := saleOf(r)
	if err != nil {
		return err
	}
	var id flashgate.OrderID
	if s.fromGateway(r) {
		id = flashgate.OrderID(r.Header.Get(OrderHeader))
	}
	o, err := s.shop.Place(r.Context(), sale, id, u.ID)
	if err != nil {
		if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Code == flashgate.CodeUnknownOutcome {
			w.Header().Set("Location", "/api/orders/"+string(e.Order))
		}
		return err
	}
	w.Header().Set("Location", "/api/orders/"+string(o.ID))
	return writeJSON(w, http.StatusAccepted, map[string]any{"order": o.ID, "status": o.Status})
}
