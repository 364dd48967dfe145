package worker

import "flashgate"

// decoded is a delivery and what is in it.
type decoded struct {
	delivery     flashgate.Delivery
	sale         flashgate.SaleID // empty when it does not decode
	reservations []flashgate.Reservation
	dead         []flashgate.DeadLetter
	fence        bool
	number       uint64 // of the fence
}

// decode never fails: whatever cannot be read becomes a dead letter, as small a part as
// can be told apart from its neighbours. fences says whether the worker has a gate that
// fences are for; with keys an order id that none of them has made is a dead letter, too.
func decode(d flashgate.Delivery, fences bool, keys *flashgate.Keyring) decoded {
	out := decoded{delivery: d}
	m, bad, err := flashgate.DecodeSplit(d.Body)
	if err == nil && m.Fence && fences {
		out.sale, out.fence, out.number = m.Sale, true, m.Epoch
		return out
	}
	if err == nil && m.Fence {
		err = flashgate.Errorf(flashgate.CodeInvalid, "worker.decode", "it is a fence, and this worker's gate needs none; drop it")
	}
	if err != nil {
		out.dead = append(out.dead, unreadable(d.Body, err))
		return out
	}
	out.sale, out.reservations = m.Sale, m.Reservations
	for _, r := range bad {
		out.dead = append(out.dead, damaged(m.Sale, r, keys))
	}
	if keys == nil {
		return out
	}
	out.reservations = m.Reservations[:0]
	for _, r := range m.Reservations {
		if keys.VerifyOrder(r.Order, r.User) != nil {
			out.dead = append(out.dead, forged(m.Sale, r))
			continue
		}
		out.reservations = append(out.reservations, r)
	}
	return out
}
