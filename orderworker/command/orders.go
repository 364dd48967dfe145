package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"flashgate"
)

// maxLetters bounds the search for one dead letter. The port lists them only; they
// are few, and an operator who has more than that does not go through them by hand.
const maxLetters = 10_000

func (c *cli) ordersCommand() *cobra.Command {
	var yes bool
	drop := &cobra.Command{
		Use: "drop ORDER [--yes]", Short: "End a dead letter: its order is rejected, what it held is free again",
		Args: exactly(1),
		RunE: do(func(ctx context.Context, args []string) error { return c.dropOrder(ctx, args[0], yes) }),
	}
	drop.Flags().BoolVar(&yes, "yes", false, "do not ask")
	var max int
	dead := &cobra.Command{
		Use: "dead", Short: "List the dead letters, oldest first", Args: cobra.NoArgs,
		RunE: do(func(ctx context.Context, _ []string) error { return c.deadOrders(ctx, max) }),
	}
	dead.Flags().IntVar(&max, "max", 100, "show so many at most")
	return group("orders", "Show orders, and deal with dead letters",
		&cobra.Command{Use: "show ORDER", Short: "Show an order, its dead letter, or that it is undecided", Args: exactly(1), RunE: do(c.showOrder)},
		dead,
		&cobra.Command{Use: "replay ORDER", Short: "Decide a dead letter again", Args: exactly(1), RunE: do(c.replayOrder)},
		drop,
	)
}

// letterView is a dead letter as it is printed.
type letterView struct {
	Order     flashgate.OrderID `json:"order"`
	Sale      flashgate.SaleID  `json:"sale,omitempty"`
	Reason    string            `json:"reason"`
	Detail    string            `json:"detail"`
	Record    string            `json:"record"` // the reservation or the message, as text
	CreatedAt string            `json:"created_at"`
}

func viewLetter(d flashgate.DeadLetter) letterView {
	return letterView{Order: d.Order, Sale: d.Sale, Reason: d.Reason, Detail: d.Detail, Record: string(d.Record), CreatedAt: stamp(d.Created)}
}

// orderView is an order as it is printed, with its dead letter if it has one.
type orderView struct {
	Order      flashgate.OrderID `json:"order"`
	Sale       flashgate.SaleID  `json:"sale,omitempty"`
	User       flashgate.UserID  `json:"user,omitempty"`
	Units      int               `json:"units,omitempty"`
	Price      int64             `json:"price,omitempty"` // of one unit, minor units
	Status     flashgate.Status  `json:"status"`
	Reason     string            `json:"reason,omitempty"`
	Seq        uint64            `json:"seq,omitempty"`
	CreatedAt  string            `json:"created_at,omitempty"`
	ExpiresAt  string            `json:"expires_at,omitempty"`
	UpdatedAt  string            `json:"updated_at,omitempty"`
	DeadLetter *letterView       `json:"dead_letter,omitempty"`
}

func (c *cli) showOrder(ctx context.Context, args []string) error {
	id := flashgate.OrderID(args[0])
	return c.with(ctx, func(b *backends) error {
		// Held is read before the row: an order decided in between has its row then.
		held, isHeld, err := b.Held(ctx, id)
		if err != nil {
			return err
		}
		letter, err := findLetter(ctx, b, id)
		if err != nil {
			return err
		}
		o, err := b.Order(ctx, id)
		switch {
		case flashgate.ErrorCode(err) == flashgate.CodeNotFound && isHeld:
			o = flashgate.Order{ID: id, Sale: id.Sale(), User: held.User, Units: held.Units, Status: flashgate.StatusUndecided}
		case flashgate.ErrorCode(err) == flashgate.CodeNotFound:
			return flashgate.Errorf(flashgate.CodeNotFound, "command.show",
				"There is no order %s: no row, no dead letter, and nothing held under it.", oneLine(args[0]))
		case err != nil:
			return err
		}
		v := orderView{
			Order: o.ID, Sale: o.Sale, User: o.User, Units: o.Units, Price: o.Price, Status: o.Status, Reason: o.Reason, Seq: o.Seq,
			CreatedAt: stamp(o.Created), ExpiresAt: stamp(o.Expires), UpdatedAt: stamp(o.Updated), DeadLetter: letter,
		}
		if c.json {
			return writeJSON(c.Stdout, v)
		}
		return c.orderTable(v)
	})
}

func (c *cli) orderTable(v orderView) error {
	all := [][]string{
		{"order", string(v.Order)}, {"sale", string(v.Sale)}, {"user", string(v.User)}, {"units", fmt.Sprint(v.Units)},
		{"price", fmt.Sprint(v.Price)}, {"status", string(v.Status)}, {"reason", v.Reason}, {"batch", fmt.Sprint(v.Seq)},
		{"created", v.CreatedAt}, {"expires", v.ExpiresAt}, {"updated", v.UpdatedAt},
	}
	if d := v.DeadLetter; d != nil {
		all = append(all, []string{"dead letter", d.Reason}, []string{"since", d.CreatedAt},
			[]string{"detail", d.Detail}, []string{"record", excerpt(d.Record)})
	}
	var rows [][]string
	for _, r := range all {
		// What is not decided, or not readable, has no price, batch or times.
		if r[1] != "" && r[1] != "0" {
			rows = append(rows, r)
		}
	}
	return table(c.Stdout, rows...)
}

// findLetter returns nil when there is none.
func findLetter(ctx context.Context, b *backends, id flashgate.OrderID) (*letterView, error) {
	ds, err := b.letters.DeadLetters(ctx, maxLetters)
	if err != nil {
		return nil, err
	}
	for _, d := range ds {
		if d.Order == id {
			v := viewLetter(d)
			return &v, nil
		}
	}
	return nil, nil
}

func (c *cli) deadOrders(ctx context.Context, max int) error {
	if max < 1 || max > maxLetters {
		return flashgate.Invalid("command.dead", "--max", "is %d; it must be from 1 to %d", max, maxLetters)
	}
	return c.with(ctx, func(b *backends) error {
		ds, err := b.letters.DeadLetters(ctx, max+1)
		if err != nil {
			return err
		}
		more := len(ds) > max
		ds = ds[:min(len(ds), max)]
		views := make([]letterView, len(ds))
		rows := [][]string{{"ORDER", "SALE", "REASON", "SINCE", "DETAIL"}}
		for i, d := range ds {
			views[i] = viewLetter(d)
			rows = append(rows, []string{string(d.Order), string(d.Sale), d.Reason, views[i].CreatedAt, d.Detail})
		}
		switch {
		case c.json:
			err = writeJSON(c.Stdout, views)
		case len(ds) == 0:
			_, err = fmt.Fprintln(c.Stdout, "There are no dead letters.")
		default:
			err = table(c.Stdout, rows...)
		}
		if err == nil && more {
			_, err = fmt.Fprintf(c.Stderr, "There are more than these; see them with --max %d.\n", min(10*max, maxLetters))
		}
		return err
	})
}

// noLetter says of an id without a dead letter what it is instead.
func noLetter(ctx context.Context, b *backends, id flashgate.OrderID) error {
	what := "it is not known here at all"
	if o, err := b.Order(ctx, id); err == nil {
		what = "the order is " + string(o.Status)
	}
	return flashgate.Errorf(flashgate.CodeNotFound, "command.orders", "There is no dead letter %s: %s.", oneLine(string(id)), what)
}

func (c *cli) replayOrder(ctx context.Context, args []string) error {
	id := flashgate.OrderID(args[0])
	ttl, err := c.orderTTL()
	if err != nil {
		return err
	}
	return c.with(ctx, func(b *backends) error {
		d, err := b.letters.Replay(ctx, id, ttl)
		if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
			return noLetter(ctx, b, id)
		}
		if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Code == flashgate.CodeWrongState {
			return flashgate.Errorf(e.Code, e.Op, "%s Its dead letter says more: `orderworker orders show %s`.", e.Message, oneLine(args[0]))
		}
		if err != nil {
			return err
		}
		return c.decided(d.Order, d.Status, d.Reason)
	})
}

// decided prints what became of a dead letter.
func (c *cli) decided(id flashgate.OrderID, status flashgate.Status, reason string) error {
	if c.json {
		return writeJSON(c.Stdout, orderView{Order: id, Sale: id.Sale(), Status: status, Reason: reason})
	}
	return table(c.Stdout, []string{"ORDER", "STATUS", "REASON"}, []string{string(id), string(status), reason})
}

func (c *cli) dropOrder(ctx context.Context, text string, yes bool) error {
	const op = "command.drop"
	id := flashgate.OrderID(text)
	return c.with(ctx, func(b *backends) error {
		letter, err := findLetter(ctx, b, id)
		if err != nil {
			return err
		}
		if letter == nil {
			return noLetter(ctx, b, id)
		}
		if !yes {
			if !c.Interactive {
				return flashgate.Invalid(op, "--yes", "is needed where nobody can be asked: a dropped order cannot be brought back")
			}
			if !c.ask(fmt.Sprintf("Drop %s (%s: %s)? It cannot be brought back. [y/N] ", id, letter.Reason, oneLine(excerpt(letter.Record)))) {
				return flashgate.Errorf(flashgate.CodeWrongState, op, "Nothing was dropped.")
			}
		}
		if err := b.letters.Drop(ctx, id); err != nil {
			return err
		}
		o, err := b.Order(ctx, id)
		if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
			return c.decided(id, "removed", "")
		}
		if err != nil {
			return err
		}
		return c.decided(id, o.Status, o.Reason)
	})
}

// ask is true for an answer that begins with y.
func (c *cli) ask(question string) bool {
	fmt.Fprint(c.Stderr, question)
	answer, err := bufio.NewReader(c.Stdin).ReadString('\n')
	if err != nil { // end of input: nobody typed the end of the line
		fmt.Fprintln(c.Stderr)
	}
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y")
}
