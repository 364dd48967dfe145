package flashgate

import (
	"bytes"
	"encoding/json"
)

// MessageVersion is the version of the order message that EncodeMessage writes,
// and the only one that DecodeMessage reads.
const MessageVersion = 1

// Bounds of a message: a batch that is larger is split by the sender.
const (
	MaxMessageBytes        = 1 << 20
	MaxMessageReservations = 1024
)

// Message carries one or many accepted reservations of one sale, or a fence.
//
// Its form on the wire is canonical JSON: the members in the order of the struct,
// no white space, no unknown, missing or repeated member. There is exactly one
// encoding of a message, so whatever DecodeMessage accepts encodes to the same
// bytes again.
type Message struct {
	Version      int           `json:"v"`
	Sale         SaleID        `json:"sale"`
	Epoch        uint64        `json:"epoch"` // of the gate that accepted them
	Reservations []Reservation `json:"reservations,omitempty"`
	Fence        bool          `json:"fence,omitempty"` // then there are no reservations
}

// NewMessage makes a message of the current version.
func NewMessage(sale SaleID, epoch uint64, rs ...Reservation) Message {
	return Message{Version: MessageVersion, Sale: sale, Epoch: epoch, Reservations: rs}
}

// Validate checks the form of the message, of its parts, and that every
// reservation is of its sale.
func (m Message) Validate() error {
	const op = "flashgate.Message"
	if m.Version != MessageVersion {
		return wrongVersion(op, m.Version)
	}
	if _, err := ParseSaleID(string(m.Sale)); err != nil {
		return err
	}
	if m.Fence {
		if len(m.Reservations) != 0 {
			return Invalid(op, "fence", "carries no reservations")
		}
		return nil
	}
	if n := len(m.Reservations); n < 1 || n > MaxMessageReservations {
		return Invalid(op, "reservations", "must be 1 to %d, not %d", MaxMessageReservations, n)
	}
	seen := make(map[OrderID]bool, len(m.Reservations))
	for i, r := range m.Reservations {
		if err := r.Validate(); err != nil {
			return Invalid(op, "reservations", "number %d: %v", i, err)
		}
		if r.Order.Sale() != m.Sale {
			return Invalid(op, "reservations", "number %d is of sale %q, the message of sale %q", i, r.Order.Sale(), m.Sale)
		}
		if seen[r.Order] {
			return Invalid(op, "reservations", "number %d repeats an order id", i)
		}
		seen[r.Order] = true
	}
	return nil
}

// EncodeMessage writes the canonical form. It fails with CodeInvalid for a message
// that is not valid and with CodeTooLarge for one above MaxMessageBytes.
func EncodeMessage(m Message) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return marshalMessage(m)
}

func marshalMessage(m Message) ([]byte, error) {
	out, err := encodeCanonical(m)
	if err != nil {
		return nil, err
	}
	if len(out) > MaxMessageBytes {
		return nil, tooLarge("flashgate.EncodeMessage", len(out))
	}
	return out, nil
}

func tooLarge(op string, n int) error {
	return Errorf(CodeTooLarge, op, "The message has %d bytes, at most %d are allowed.", n, MaxMessageBytes)
}

// DecodeMessage reads the canonical form and nothing else. CodeTooLarge above
// MaxMessageBytes, CodeInvalid for everything else that is wrong.
func DecodeMessage(body []byte) (Message, error) {
	m, ok := scanMessage(body)
	if !ok {
		var err error
		if m, err = decodeForm(body); err != nil {
			return Message{}, err
		}
	}
	if err := m.Validate(); err != nil {
		return Message{}, err
	}
	return m, nil
}

// decodeForm decodes, and encodes again to see that the bytes were canonical:
// that one comparison refuses unknown, repeated and misspelt members, other white
// space and other number forms, all of which encoding/json lets pass.
func decodeForm(body []byte) (Message, error) {
	const op = "flashgate.DecodeMessage"
	if len(body) > MaxMessageBytes {
		return Message{}, tooLarge(op, len(body))
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		return Message{}, notDecoded(op, "message", "is not an order message", err)
	}
	if m.Version != MessageVersion {
		return Message{}, wrongVersion(op, m.Version)
	}
	again, err := marshalMessage(m)
	if err != nil {
		return Message{}, err
	}
	if !bytes.Equal(again, body) {
		return Message{}, notCanonical(op, "message", again, body)
	}
	return m, nil
}

func wrongVersion(op string, v int) error {
	return Invalid(op, "v", "is %d; this program reads version %d", v, MessageVersion)
}

// encodeCanonical is JSON as it stands in a message.
func encodeCanonical(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, &Error{Code: CodeInternal, Op: "flashgate.EncodeMessage", Err: err}
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
