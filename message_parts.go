package flashgate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// DecodeSplit reads a message whose parts may be bad: the reservations that are good,
// and the bad ones, so that one bad reservation never takes its neighbours down. An
// error means that the message as a whole cannot be read: CodeTooLarge above
// MaxMessageBytes, else CodeInvalid with the member that is missing or wrong.
func DecodeSplit(body []byte) (m Message, bad []BadReservation, err error) {
	if m, err = DecodeMessage(body); err == nil || ErrorCode(err) == CodeTooLarge {
		return m, nil, err
	}
	m, parts, err := decodeEnvelope(body)
	if err != nil {
		return Message{}, nil, err
	}
	seen := map[OrderID]bool{}
	for _, raw := range parts {
		r, err := decodePart(raw)
		switch {
		case err != nil:
		case r.Order.Sale() != m.Sale:
			err = Invalid("flashgate.DecodeSplit", "order", "is of sale %q, the message of sale %q", r.Order.Sale(), m.Sale)
		case seen[r.Order]:
			continue // the first of them stands for both
		}
		if err != nil {
			bad = append(bad, BadReservation{Reservation: r, Raw: raw, Err: err})
			continue
		}
		seen[r.Order] = true
		m.Reservations = append(m.Reservations, r)
	}
	return m, bad, nil
}

// BadReservation is a part of a message that cannot be decided.
type BadReservation struct {
	Reservation Reservation // as far as it could be read
	Raw         []byte      // as it came
	Err         error       // an *Error that names the field
}

// envelope is a Message without its reservations, and with them as they came.
type envelope struct {
	Version      int               `json:"v"`
	Sale         SaleID            `json:"sale"`
	Epoch        uint64            `json:"epoch"`
	Reservations []json.RawMessage `json:"reservations,omitempty"`
	Fence        bool              `json:"fence,omitempty"`
}

// decodeEnvelope reads everything but the reservations. They are read one by one, as
// one of them may be no reservation at all.
func decodeEnvelope(body []byte) (Message, []json.RawMessage, error) {
	const op = "flashgate.DecodeSplit"
	var e envelope
	err := json.Unmarshal(body, &e)
	// The version first: another one may have other members, of other kinds.
	if e.Version != MessageVersion && e.Version != 0 {
		return Message{}, nil, wrongVersion(op, e.Version)
	}
	if err != nil {
		return Message{}, nil, notDecoded(op, "message", "is not an order message", err)
	}
	if err := explainMembers(op, body, []string{"v", "sale", "epoch"}, "reservations", "fence"); err != nil {
		return Message{}, nil, err
	}
	m := Message{Version: e.Version, Sale: e.Sale, Epoch: e.Epoch, Fence: true}
	if err := m.Validate(); err != nil { // of all but the reservations
		return Message{}, nil, err
	}
	m.Fence = e.Fence
	switch n := len(e.Reservations); {
	case m.Fence && n > 0, !m.Fence && (n < 1 || n > MaxMessageReservations):
		m.Reservations = make([]Reservation, n)
		return Message{}, nil, m.Validate()
	case m.Fence: // it has no parts to read one by one, so what is wrong is the whole
		return Message{}, nil, &Error{Code: CodeInvalid, Op: op, Field: "message", Message: "is a fence that is not in canonical form"}
	}
	if again := e.encode(); !bytes.Equal(again, body) {
		return Message{}, nil, notCanonical(op, "message", again, body)
	}
	return m, e.Reservations, nil
}

// encode writes the canonical form around the parts as they came.
func (e envelope) encode() []byte {
	head, err := json.Marshal(envelope{Version: e.Version, Sale: e.Sale, Epoch: e.Epoch})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	out := append(bytes.TrimSuffix(head, []byte("}")), `,"reservations":[`...)
	for i, raw := range e.Reservations {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, raw...)
	}
	return append(out, "]}"...)
}

// decodePart reads one reservation in its canonical form. After an error, what could be
// read of it is returned as well.
func decodePart(raw []byte) (Reservation, error) {
	const op = "flashgate.Reservation"
	var r Reservation
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, notDecoded(op, "reservation", "is not an object", err)
	}
	if err := explainMembers(op, raw, []string{"order", "user", "units", "at"}); err != nil {
		return r, err
	}
	if err := r.Validate(); err != nil {
		return r, err
	}
	again, err := encodeCanonical(r)
	if err != nil {
		return r, err
	}
	if !bytes.Equal(again, raw) {
		return r, notCanonical(op, "reservation", again, raw)
	}
	return r, nil
}

// notDecoded explains what encoding/json did not take: the member, where it says which.
func notDecoded(op, what, message string, err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return Invalid(op, e.Field, "must be %s, not %s", jsonKind(e.Type.Kind().String()), excerpt(e.Value))
	}
	return &Error{Code: CodeInvalid, Op: op, Field: what, Message: message, Err: errors.New(excerpt(err.Error()))}
}

// jsonKind names a kind of Go's in words of JSON.
func jsonKind(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "slice":
		return "a list"
	case "struct":
		return "an object"
	case "uint64":
		return "a whole number that is not negative"
	default:
		return "a whole number"
	}
}

// explainMembers names a member of an object that is missing, or that is not known.
func explainMembers(op string, raw []byte, required []string, optional ...string) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil // it is told otherwise
	}
	for _, name := range required {
		if _, ok := members[name]; !ok {
			return Invalid(op, name, "is missing")
		}
		delete(members, name)
	}
	for _, name := range optional {
		delete(members, name)
	}
	for name := range members {
		return Invalid(op, excerpt(name), "is not known here")
	}
	return nil
}

func notCanonical(op, what string, want, got []byte) error {
	return &Error{Code: CodeInvalid, Op: op, Field: what, Message: "is not in canonical form",
		Err: fmt.Errorf("differs from its own encoding at byte %d", firstDifference(want, got))}
}

// excerpt bounds what a message brings into its own error: it may be a megabyte.
func excerpt(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
