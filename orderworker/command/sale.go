package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"flashgate"
)

func (c *cli) saleCommand() *cobra.Command {
	var end ending
	open := &cobra.Command{
		Use:   "open SALE [--for DURATION | --until TIME]",
		Short: "Open a sale now",
		Long: `open starts a sale now, or keeps an open one open, by the database's clock.

It ends as it was planned, or after --for, or at --until. A sale that has ended needs
one of them.`,
		Example: "  orderworker sale open 2 --for 1h30m\n  orderworker sale open 2 --until 2026-11-27T20:00:00Z",
		Args:    exactly(1),
	}
	open.Flags().StringVar(&end.span, "for", "", "end it so long after now: 90s, 30m, 1h30m")
	open.Flags().StringVar(&end.until, "until", "", "end it then: an RFC 3339 time")
	open.RunE = do(func(ctx context.Context, args []string) error { return c.openSale(ctx, args[0], end) })
	restock := &cobra.Command{Use: "restock SALE UNITS", Short: "Add units to a sale that has not ended", Args: exactly(2), RunE: do(c.restockSale)}
	restock.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		for _, arg := range c.Args { // a negative number looks like a flag
			if n, nerr := strconv.ParseInt(arg, 10, 64); nerr == nil && n < 0 {
				return failure{badUnits(arg)}
			}
		}
		return err
	})
	return group("sale", "List, open, close and restock sales",
		&cobra.Command{Use: "list", Short: "List all sales", Args: cobra.NoArgs, RunE: do(c.listSales)},
		open,
		&cobra.Command{Use: "close SALE", Short: "End a sale now; its orders stay", Args: exactly(1), RunE: do(c.closeSale)},
		restock,
	)
}

// saleView is a sale as it is printed: the shop's names, and what the gate holds.
type saleView struct {
	ID         flashgate.SaleID  `json:"id"`
	Goods      flashgate.GoodsID `json:"goods"`
	FlashPrice int64             `json:"flash_price"` // minor units
	StartsAt   string            `json:"starts_at"`
	EndsAt     string            `json:"ends_at"`
	Phase      flashgate.Phase   `json:"phase"`
	PerUser    int               `json:"per_user"`
	Seeded     int64             `json:"seeded"` // with what was restocked
	StockLeft  int64             `json:"stock_left"`
	Undecided  int64             `json:"undecided"` // units held at the gate
}

func (c *cli) viewSale(ctx context.Context, b *backends, s flashgate.Sale) (saleView, error) {
	gate, err := b.View(ctx, s.ID)
	switch flashgate.ErrorCode(err) {
	case "":
	case flashgate.CodeNotFound: // not opened yet, or lost and not reconciled
		gate.Now = time.Now()
	default:
		return saleView{}, err
	}
	return saleView{
		ID: s.ID, Goods: s.Goods, FlashPrice: s.FlashPrice, StartsAt: stamp(s.Starts), EndsAt: stamp(s.Ends),
		Phase: flashgate.PhaseAt(gate.Now, s.Starts, s.Ends), PerUser: s.PerUser,
		Seeded: s.Seeded, StockLeft: s.StockLeft, Undecided: gate.Held,
	}, nil
}

func (c *cli) listSales(ctx context.Context, _ []string) error {
	return c.with(ctx, func(b *backends) error {
		sales, err := b.Sales(ctx)
		if err != nil {
			return err
		}
		views := make([]saleView, len(sales))
		for i, s := range sales {
			if views[i], err = c.viewSale(ctx, b, s); err != nil {
				return err
			}
		}
		if c.json {
			return writeJSON(c.Stdout, views)
		}
		if len(views) == 0 {
			_, err := fmt.Fprintln(c.Stdout, "There are no sales.")
			return err
		}
		return c.saleTable(views...)
	})
}

func (c *cli) saleTable(views ...saleView) error {
	rows := [][]string{{"SALE", "GOODS", "PHASE", "STARTS", "ENDS", "PRICE", "PER USER", "SEEDED", "LEFT", "UNDECIDED"}}
	for _, v := range views {
		rows = append(rows, []string{string(v.ID), string(v.Goods), string(v.Phase), v.StartsAt, v.EndsAt, fmt.Sprint(v.FlashPrice),
			fmt.Sprint(v.PerUser), fmt.Sprint(v.Seeded), fmt.Sprint(v.StockLeft), fmt.Sprint(v.Undecided)})
	}
	return table(c.Stdout, rows...)
}

// salesNamed is how many sales an error names.
const salesNamed = 20

// known reads a sale. Of an unknown one it says which there are.
func (c *cli) known(ctx context.Context, b *backends, text string) (flashgate.Sale, error) {
	id, err := flashgate.ParseSaleID(text)
	if err != nil {
		return flashgate.Sale{}, err
	}
	s, err := b.Sale(ctx, id)
	if flashgate.ErrorCode(err) != flashgate.CodeNotFound {
		return s, err
	}
	all, lerr := b.Sales(ctx)
	if lerr != nil {
		return s, lerr
	}
	var ids []string
	for _, o := range all[:min(len(all), salesNamed)] {
		ids = append(ids, string(o.ID))
	}
	there := "there are none"
	if len(ids) > 0 {
		there = "there are: " + strings.Join(ids, ", ")
	}
	if more := len(all) - len(ids); more > 0 {
		there += fmt.Sprintf(" and %d more, see `orderworker sale list`", more)
	}
	return s, flashgate.Errorf(flashgate.CodeNotFound, "command.sale", "There is no sale %s; %s.", id, there)
}

// sale reads a sale and the gate's clock. Of a gate that is not open, or away, our
// own clock stands in: the database judges by its own in any case.
func (c *cli) sale(ctx context.Context, b *backends, text string) (flashgate.Sale, time.Time, error) {
	s, err := c.known(ctx, b, text)
	if err != nil {
		return s, time.Time{}, err
	}
	if gate, err := b.View(ctx, s.ID); err == nil {
		return s, gate.Now, nil
	}
	return s, time.Now(), nil
}

// change writes a change and prints the sale as it is then.
func (c *cli) change(ctx context.Context, b *backends, id flashgate.SaleID, ch flashgate.SaleChange) error {
	s, err := b.ChangeSale(ctx, id, ch)
	if err != nil {
		return err
	}
	v, err := c.viewSale(ctx, b, s)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.Stdout, v)
	}
	return c.saleTable(v)
}

// ending is when an opened sale shall end; nothing set means as planned.
type ending struct {
	span  string // --for
	until string // --until
}

// at is nil for as planned.
func (e ending) at(now time.Time) (*time.Time, error) {
	const op = "command.open"
	switch {
	case e.span != "" && e.until != "":
		return nil, flashgate.Invalid(op, "--for", "and --until exclude each other: give one of them")
	case e.span != "":
		d, err := time.ParseDuration(e.span)
		if err != nil || d < time.Second {
			return nil, flashgate.Invalid(op, "--for", "is %q; it must be a duration of at least 1s, such as 30m or 1h30m", e.span)
		}
		t := now.Add(d)
		return &t, nil
	case e.until != "":
		t, err := time.Parse(time.RFC3339, e.until)
		if err != nil {
			return nil, flashgate.Invalid(op, "--until", "is %q; it must be an RFC 3339 time such as %s", e.until, stamp(now.Add(time.Hour)))
		}
		if !t.After(now) {
			return nil, flashgate.Invalid(op, "--until", "is %s, which has passed; it is %s now", stamp(t), stamp(now))
		}
		return &t, nil
	default:
		return nil, nil
	}
}

func (c *cli) openSale(ctx context.Context, id string, end ending) error {
	return c.with(ctx, func(b *backends) error {
		s, now, err := c.sale(ctx, b, id)
		if err != nil {
			return err
		}
		var ch flashgate.SaleChange
		if ch.Ends, err = end.at(now); err != nil {
			return err
		}
		phase := flashgate.PhaseAt(now, s.Starts, s.Ends)
		if phase == flashgate.PhaseEnded && ch.Ends == nil {
			return flashgate.Errorf(flashgate.CodeWrongState, "command.open",
				"Sale %s has ended at %s: say how long it shall be open, with --for 1h or --until %s.", s.ID, stamp(s.Ends), stamp(now.Add(time.Hour)))
		}
		if phase != flashgate.PhaseOpen {
			ch.Starts = &now
		}
		return c.change(ctx, b, s.ID, ch)
	})
}

func (c *cli) closeSale(ctx context.Context, args []string) error {
	return c.with(ctx, func(b *backends) error {
		s, now, err := c.sale(ctx, b, args[0])
		if err != nil {
			return err
		}
		if flashgate.PhaseAt(now, s.Starts, s.Ends) == flashgate.PhaseEnded {
			return flashgate.Errorf(flashgate.CodeWrongState, "command.close", "Sale %s has ended already, at %s.", s.ID, stamp(s.Ends))
		}
		return c.change(ctx, b, s.ID, flashgate.SaleChange{Close: true})
	})
}

func badUnits(text string) error {
	return flashgate.Invalid("command.restock", "UNITS", "is %q; it must be a number from 1 to %d", text, int64(flashgate.MaxStock))
}

func (c *cli) restockSale(ctx context.Context, args []string) error {
	n, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil || n < 1 || n > flashgate.MaxStock {
		return badUnits(args[1])
	}
	return c.with(ctx, func(b *backends) error {
		s, now, err := c.sale(ctx, b, args[0])
		if err != nil {
			return err
		}
		change := flashgate.SaleChange{Restock: n}
		if change.ValidateFor(s, now) != nil {
			return flashgate.Errorf(flashgate.CodeEnded, "command.restock",
				"Sale %s has ended at %s: open it first, with `orderworker sale open %s --for 1h`, and then restock it.", s.ID, stamp(s.Ends), s.ID)
		}
		err = c.change(ctx, b, s.ID, change)
		if flashgate.ErrorCode(err) == flashgate.CodeUnavailable {
			return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: "command.restock", Err: err,
				Message: "It is not known whether the units were added; look at `orderworker sale list` before you repeat it"}
		}
		return err
	})
}
