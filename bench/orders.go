package main

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"flashgate"
)

// How many buyers there are, each with a session, and how often one may buy.
const (
	buyers  = 10_000
	perUser = flashgate.MaxUnits
)

// perSecondAtMost is how many orders are ready for each second of a sample. A row that
// needs more ends the run: an order that is sent twice is no order.
const perSecondAtMost = 40_000

// probes are orders that the bench itself sends around a sample.
const probes = 8

// buyer is one of them.
type buyer struct {
	user    flashgate.UserID
	session flashgate.Session
	cookie  string
}

func newBuyers(n int) []buyer {
	out := make([]buyer, n)
	now := time.Now()
	for i := range out {
		token := flashgate.NewSessionToken()
		user := flashgate.UserID(fmt.Sprintf("user-%08d", i))
		out[i] = buyer{user: user, cookie: string(token), session: flashgate.Session{
			Key: token.Key(), User: user, Role: flashgate.RoleCustomer, Created: now, Expires: now.Add(24 * time.Hour), Idle: 12 * time.Hour,
		}}
	}
	return out
}

// order is one request that buys: its address is its user's alone, for one sale.
type order struct {
	token string
	buyer *buyer
}

// orders are the requests of one sample.
type orders struct {
	sale   flashgate.SaleID
	list   []order
	probed int // so many of the first were sent by the bench itself
}

// mintOrders makes n orders of a sale, and some more for the bench itself.
func (b *bench) mintOrders(sale flashgate.SaleID, n int) *orders {
	o := &orders{sale: sale, list: make([]order, probes+n)}
	expires := time.Now().Add(time.Hour)
	for i := range o.list {
		who := &b.buyers[i%len(b.buyers)]
		path, _ := b.keys.Mint(flashgate.Claim{Sale: string(sale), Session: string(who.session.Key), User: string(who.user)}, expires)
		o.list[i] = order{token: path, buyer: who}
	}
	return o
}

func (o *orders) path(i int) string { return "/buy/" + string(o.sale) + "/" + o.list[i].token }

// probe takes the next one for the bench itself.
func (o *orders) probe() (int, error) {
	if o.probed == probes {
		return 0, fmt.Errorf("more than %d orders of a sample are the bench's own", probes)
	}
	o.probed++
	return o.probed - 1, nil
}

// write writes those that wrk is to send: path, cookie and user, a line each.
func (o *orders) write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for i := probes; i < len(o.list); i++ {
		fmt.Fprintf(w, "%s %s %s\n", o.path(i), o.list[i].buyer.cookie, o.list[i].buyer.user)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
