package stockgate

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/hiddenpath"

	"github.com/caddyserver/caddy/v2"
)

func (h *Handler) buy(w http.ResponseWriter, r *http.Request, segment string) error {
	res, sale, err := h.reservation(r, segment)
	if err != nil {
		return h.refuse(w, r, err)
	}
	if answer, known := h.gate.Known(r.Context(), sale, res.Units); known {
		return h.flagged(w, answer)
	}
	if res.Order == "" {
		if res.Order, err = h.mint(sale, res.User); err != nil {
			return h.refuse(w, r, err)
		}
	}
	got, err := h.gate.Reserve(r.Context(), res)
	if err == nil {
		err = h.judge(r.Context(), sale, got)
	}
	if flashgate.ErrorCode(err) == flashgate.CodeUnknownOutcome {
		w.Header().Set("Location", h.Location+string(res.Order))
	}
	if err != nil {
		return h.refuse(w, r, err)
	}
	h.accepted.Inc()
	accept(w, res.Order, h.Location)
	return nil
}

// accept writes the 202. An order id needs no escape in JSON, and the header's values are
// this answer's own: Caddy's `header` changes them in place.
func accept(w http.ResponseWriter, order flashgate.OrderID, location string) {
	header := w.Header()
	values := [...]string{"application/json", "no-store", location + string(order)}
	header["Content-Type"], header["Cache-Control"], header["Location"] = values[0:1:1], values[1:2:2], values[2:3:3]
	w.WriteHeader(http.StatusAccepted)
	body := make([]byte, 0, 128)
	body = append(append(body, `{"order":"`...), order...)
	body = append(append(body, `","status":"`...), flashgate.StatusUndecided...)
	// A client that went away may poll; nothing is taken back.
	_, _ = w.Write(append(body, "\"}\n"...))
}

// reservation is what the request asks for, and of which sale. It has no id yet where
// the gate is to make it: that costs more than a refusal, which needs none.
func (h *Handler) reservation(r *http.Request, segment string) (res flashgate.Reservation, sale flashgate.SaleID, err error) {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	res.At = time.Now().UnixMilli()
	grant, granted := hiddenpath.FromContext(r.Context())
	switch {
	case granted && grant.Order != "" && string(grant.Sale) == segment:
		res.Order, res.User, sale = grant.Order, grant.User, grant.Order.Sale()
	case h.Path == pathRequired || granted:
		return res, "", &flashgate.Error{Code: flashgate.CodePathInvalid, Op: op, Message: "Ask for a new address and use it in time."}
	default:
		if res.User, sale, err = h.own(r, repl, segment); err != nil {
			return res, "", err
		}
		if res.Order, err = h.repeated(r, sale, res.User); err != nil {
			return res, "", err
		}
	}
	if res.Units, err = h.units(repl); err != nil {
		return res, "", err
	}
	return res, sale, nil
}

// units is how many the request wants.
func (h *Handler) units(repl *caddy.Replacer) (int, error) {
	units, err := strconv.Atoi(app.Setting(repl, h.Units))
	if err != nil || units < 1 || units > flashgate.MaxUnits {
		return 0, flashgate.Invalid(op, "units", "must be a number between 1 and %d", flashgate.MaxUnits)
	}
	return units, nil
}

// own finds user and sale where no hidden path did.
func (h *Handler) own(r *http.Request, repl *caddy.Replacer, segment string) (flashgate.UserID, flashgate.SaleID, error) {
	name := app.Setting(repl, h.User)
	if name == "" {
		return "", "", app.Unauthenticated(r, op)
	}
	user, err := flashgate.ParseUserID(name)
	if err != nil {
		return "", "", err
	}
	sale, err := flashgate.ParseSaleID(segment)
	if err != nil {
		return "", "", flashgate.Errorf(flashgate.CodeNotFound, op, "There is no such sale.")
	}
	return user, sale, nil
}

// repeated is the id that a client sends again, or empty.
func (h *Handler) repeated(r *http.Request, sale flashgate.SaleID, user flashgate.UserID) (flashgate.OrderID, error) {
	order := flashgate.OrderID(r.Header.Get("Idempotency-Key"))
	if order == "" {
		return "", nil
	}
	keys, err := h.app.Keyring()
	if err != nil {
		return "", err
	}
	if order.Sale() != sale || keys.VerifyOrder(order, user) != nil {
		return "", flashgate.Invalid(op, "Idempotency-Key", "must be an order id that this site gave to this user for this sale; leave it out for a new order")
	}
	return order, nil
}

// mint makes a new id.
func (h *Handler) mint(sale flashgate.SaleID, user flashgate.UserID) (flashgate.OrderID, error) {
	keys, err := h.app.Keyring()
	if err != nil {
		return "", err
	}
	return keys.MintOrder(sale, user), nil
}

// judge turns the gate's answer into an error; nil means accepted.
func (h *Handler) judge(ctx context.Context, sale flashgate.SaleID, got flashgate.Reserved) error {
	fail := func(code flashgate.Code) *flashgate.Error { return &flashgate.Error{Code: code, Op: op} }
	switch got.Outcome {
	case flashgate.OutcomeAccepted:
		return nil
	case flashgate.OutcomeSoldOut:
		return fail(flashgate.CodeSoldOut)
	case flashgate.OutcomeAlreadyBought:
		e := fail(flashgate.CodeAlreadyBought)
		e.Order = got.Prior
		return e
	case flashgate.OutcomeNotStarted:
		e := fail(flashgate.CodeNotStarted)
		e.RetryAfter = got.OpensIn
		return e
	case flashgate.OutcomeEnded:
		return fail(flashgate.CodeEnded)
	case flashgate.OutcomeBusy:
		e := fail(flashgate.CodeUnavailable)
		e.Message, e.RetryAfter = "Too many orders of this sale are being placed. Try again.", time.Second
		return e
	case flashgate.OutcomeConflict:
		e := fail(flashgate.CodePathInvalid)
		e.Message = "Ask for a new address and use it in time."
		return e
	case flashgate.OutcomeClosed:
		return h.closed(ctx, sale)
	default:
		return fail(flashgate.CodeInternal)
	}
}

// closed tells a sale that nobody has heard of from one that is reconciling. Behind
// hidden_path it is the latter: a path is only made for a sale that there is.
func (h *Handler) closed(ctx context.Context, sale flashgate.SaleID) error {
	reconciling := &flashgate.Error{Code: flashgate.CodeSaleClosed, Op: op, Message: "Try again in a moment.", RetryAfter: time.Second}
	if h.Path == pathRequired {
		return reconciling
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(h.Timeout))
	defer cancel()
	stock, err := h.app.Stock()
	if err == nil {
		_, err = stock.View(ctx, sale)
	}
	if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		return err
	}
	return reconciling
}
