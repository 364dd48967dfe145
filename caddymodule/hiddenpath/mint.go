package hiddenpath

import (
	"encoding/json"
	"net/http"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
)

// answer is what the mint gives: the token is the last segment of the address.
type answer struct {
	Path      string            `json:"path"`
	Order     flashgate.OrderID `json:"order,omitempty"`
	ExpiresIn int64             `json:"expires_in"` // seconds, rounded down
}

func (h *Handler) mint(w http.ResponseWriter, r *http.Request, vals []string) error {
	claim, _, err := h.claim(r, h.Mint, vals)
	if err != nil {
		return h.refuse(w, r, err)
	}
	if h.Sale != "" {
		if err := h.checkWindow(r, claim.Sale); err != nil {
			return h.refuse(w, r, err)
		}
	}
	keys, err := h.app.Keyring()
	if err != nil {
		return h.refuse(w, r, err)
	}
	ttl := time.Duration(h.TTL)
	path, order := keys.Mint(claim, time.Now().Add(ttl))
	if h.Sale == "" {
		if err := h.app.OneTime().Put(r.Context(), oneTimeKey(path), fresh, ttl); err != nil {
			return h.refuse(w, r, err)
		}
	}
	app.CountDecision(op, "minted")
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	// A client that went away is not worth a word here.
	_ = json.NewEncoder(w).Encode(answer{Path: path, Order: order, ExpiresIn: int64(ttl / time.Second)})
	return nil
}

// checkWindow asks the gate, by the gate's own clock. Stock and the user's limit are
// judged when the token is used.
func (h *Handler) checkWindow(r *http.Request, name string) error {
	sale, err := flashgate.ParseSaleID(name)
	if err != nil {
		return flashgate.Errorf(flashgate.CodeNotFound, op, "There is no such sale.")
	}
	stock, err := h.app.Stock()
	if err != nil {
		return err
	}
	view, err := stock.View(r.Context(), sale)
	if err != nil {
		return err
	}
	if !view.Open {
		return &flashgate.Error{Code: flashgate.CodeSaleClosed, Op: op, Message: "Try again in a moment.", RetryAfter: time.Second}
	}
	switch flashgate.PhaseAt(view.Now, view.Starts, view.Ends) {
	case flashgate.PhaseUpcoming:
		return &flashgate.Error{Code: flashgate.CodeNotStarted, Op: op, RetryAfter: view.Starts.Sub(view.Now)}
	case flashgate.PhaseEnded:
		return &flashgate.Error{Code: flashgate.CodeEnded, Op: op}
	default:
		return nil
	}
}
