package worker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"flashgate"
)

// unreadable keeps a whole message, or as much of it as a message may have: the database
// would not take any size.
func unreadable(body []byte, err error) flashgate.DeadLetter {
	d := flashgate.DeadLetter{
		Order: hashID(body), Record: body[:min(len(body), flashgate.MaxMessageBytes)], Reason: flashgate.ReasonUnreadable,
		Detail: "The message cannot be read: " + told(err) + ".",
	}
	if len(d.Record) < len(body) {
		d.Detail += fmt.Sprintf(" Of its bytes the first %d are kept here.", len(d.Record))
	}
	if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Field == "v" {
		d.Detail += " If it is of a newer version, update the workers before the gateways."
	}
	d.Detail += " Find its sender. What a gate holds of it is published again by itself; when nothing else in it is wanted, drop it."
	return d
}

// invalidOrder keeps one reservation. When its order id parses, it is filed under it
// and under the sale in it: that is where its buyer asks, and where a replay has to
// decide it.
func invalidOrder(sale flashgate.SaleID, r flashgate.Reservation, err error) flashgate.DeadLetter {
	return invalidRecord(sale, r.Order, record(r), err)
}

// damaged keeps a reservation that cannot be read, as it came. With keys it is filed
// under its order only if the id was made for its user, as a forged one is.
func damaged(sale flashgate.SaleID, r flashgate.BadReservation, keys *flashgate.Keyring) flashgate.DeadLetter {
	id := r.Reservation.Order
	if keys != nil && keys.VerifyOrder(id, r.Reservation.User) != nil {
		id = ""
	}
	return invalidRecord(sale, id, r.Raw, r.Err)
}

func invalidRecord(sale flashgate.SaleID, id flashgate.OrderID, raw []byte, err error) flashgate.DeadLetter {
	d := flashgate.DeadLetter{
		Order: id, Sale: id.Sale(), Record: raw, Reason: flashgate.ReasonInvalid,
		Detail: "The reservation, in a message of sale " + string(sale) + ", is not valid: " + told(err) + ". Find its sender. ",
	}
	if d.Sale == "" {
		d.Order, d.Sale = hashID(raw), sale
	}
	if _, ok := d.Reservation(); ok {
		d.Detail += "What an order needs is there: replay it to have it decided, or drop it."
	} else {
		d.Detail += "It cannot be replayed: drop it. What a gate holds under its order id is then published again by itself."
	}
	return d
}

// told is an error without the code and the operation, which are for programs.
func told(err error) string {
	e, ok := errors.AsType[*flashgate.Error](err)
	if !ok {
		return err.Error()
	}
	text := strings.TrimSuffix(e.Message, ".")
	if e.Field != "" {
		text = e.Field + " " + text
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// forged keeps a reservation whose order id none of the keys has made for its user. It
// is filed under a name of its own: the id may be somebody's whose order is yet to come.
func forged(sale flashgate.SaleID, r flashgate.Reservation) flashgate.DeadLetter {
	raw := record(r)
	return flashgate.DeadLetter{
		Order: hashID(raw), Sale: sale, Record: raw, Reason: flashgate.ReasonInvalid,
		Detail: "The order id was not made for its user by any of the signing keys: somebody else publishes orders, or a key was taken away while orders of it were on their way. Find out which, then drop it.",
	}
}

// record is the canonical JSON of a reservation, as it is in a message.
func record(r flashgate.Reservation) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		panic(err) // strings and integers always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// hashID names something that has no order id: the same bytes get the same name, so
// keeping them is idempotent.
func hashID(body []byte) flashgate.OrderID {
	sum := sha256.Sum256(body)
	return flashgate.OrderID("unreadable." + hex.EncodeToString(sum[:]))
}
