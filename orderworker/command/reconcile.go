package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"flashgate"
	"flashgate/orderworker/worker"
)

// reconcilePatience bounds the opening of one sale: its queue has to drain first.
const reconcilePatience = 10 * time.Minute

func (c *cli) reconcileCommand() *cobra.Command {
	var dryRun bool
	var max int
	cmd := &cobra.Command{
		Use:   "reconcile [SALE] [--dry-run]",
		Short: "Open gates that have lost their state, and check those that are open",
		Long: `reconcile looks at one sale, or at all of them. A sale whose gate is closed, because
Redis has restarted, failed over or come back with older data, is opened from the
database; running workers do the same by themselves. Of an open sale it only compares
the sums and reports.

MISSING is SEEDED − LEFT − LIVE, in the database at one moment. DRIFT is FREE + HELD at
the gate − OF, which is the stock left in the database after the same change; without a
number the sale went on too fast to be read twice at one change. Both must be zero.

With --dry-run it changes nothing and says what it would do.

The embedded backends need no reconciliation: gate and database share their
transactions. It fails when a sum differs.`,
		Example: "  orderworker reconcile --dry-run\n  orderworker reconcile 1",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, say what would be done")
	cmd.RunE = do(func(ctx context.Context, args []string) error { return c.reconcile(ctx, args, dryRun) })
	audit := &cobra.Command{
		Use: "audit [SALE]", Short: "Show what was done to a sale, or to all, newest first", Args: cobra.MaximumNArgs(1),
		RunE: do(func(ctx context.Context, args []string) error { return c.audit(ctx, args, max) }),
	}
	audit.Flags().IntVar(&max, "max", 100, "show so many at most")
	cmd.AddCommand(audit)
	return cmd
}

// apart opens the backends of a gate that lives apart from its database.
func (c *cli) apart(ctx context.Context, work func(*backends) error) error {
	return c.with(ctx, func(b *backends) error {
		if b.real == nil {
			return flashgate.Errorf(flashgate.CodeWrongState, "command.reconcile",
				"The backends are embedded: gate and database share their transactions, so there is nothing to reconcile. Set REDIS_URL, AMQP_URL and MYSQL_DSN for the real ones.")
		}
		return work(b)
	})
}

func (c *cli) reconcile(ctx context.Context, args []string, dryRun bool) error {
	return c.apart(ctx, func(b *backends) error {
		sales, err := c.chosen(ctx, b, args)
		if err != nil {
			return err
		}
		cfg := b.worker
		cfg.Logger = c.logger()
		var reports []worker.Report
		wrong := 0
		for _, id := range sales {
			one, cancel := context.WithTimeout(ctx, reconcilePatience)
			r, err := worker.Reconcile(one, cfg, id, dryRun)
			cancel()
			if err != nil {
				return err
			}
			if r.Missing != 0 || r.Compared && r.Drift != 0 || r.Ahead {
				wrong++
			}
			reports = append(reports, r)
		}
		if err := c.printReports(reports); err != nil {
			return err
		}
		if wrong > 0 {
			return flashgate.Errorf(flashgate.CodeInternal, "command.reconcile", "The sums of %d sales differ: see MISSING, DRIFT and AHEAD.", wrong)
		}
		return nil
	})
}

// chosen is the sale that was named, or all.
func (c *cli) chosen(ctx context.Context, b *backends, args []string) ([]flashgate.SaleID, error) {
	if len(args) > 0 {
		s, err := c.known(ctx, b, args[0])
		return []flashgate.SaleID{s.ID}, err
	}
	all, err := b.Sales(ctx)
	ids := make([]flashgate.SaleID, len(all))
	for i, s := range all {
		ids[i] = s.ID
	}
	return ids, err
}

// reportView is a report as it is printed.
type reportView struct {
	Sale        flashgate.SaleID `json:"sale"`
	Action      string           `json:"action"`
	Open        bool             `json:"open"`
	Epoch       uint64           `json:"epoch"`
	Seeded      int64            `json:"seeded"`
	StockLeft   int64            `json:"stock_left"`
	LiveUnits   int64            `json:"live_units"`
	Missing     int64            `json:"missing"` // seeded − stock_left − live units
	Free        int64            `json:"free"`
	Held        int64            `json:"held"`
	GateLeft    int64            `json:"gate_left"` // stock_left when free and held were read
	Drift       int64            `json:"drift"`     // free + held − gate_left
	Compared    bool             `json:"compared"`
	Ahead       bool             `json:"ahead"`
	Lag         uint64           `json:"lag"`
	Waiting     int              `json:"waiting"`
	DeadLetters int              `json:"dead_letters"`
}

func (c *cli) printReports(reports []worker.Report) error {
	views := make([]reportView, len(reports))
	rows := [][]string{{"SALE", "OPEN", "EPOCH", "SEEDED", "LEFT", "LIVE", "MISSING", "FREE", "HELD", "OF", "DRIFT", "AHEAD", "LAG", "WAITING", "DEAD", "ACTION"}}
	for i, r := range reports {
		v := reportView{
			Sale: r.Sale.ID, Action: r.Action, Open: r.View.Open, Epoch: r.Sale.Epoch, Seeded: r.Sale.Seeded, StockLeft: r.Sale.StockLeft,
			LiveUnits: r.LiveUnits, Missing: r.Missing, Free: r.View.Free, Held: r.View.Held, GateLeft: r.GateLeft, Drift: r.Drift, Compared: r.Compared,
			Ahead: r.Ahead, Lag: r.Lag, Waiting: r.Waiting, DeadLetters: r.DeadLetters,
		}
		drift, left := "-", "-"
		if v.Compared {
			drift, left = fmt.Sprint(v.Drift), fmt.Sprint(v.GateLeft)
		} else if v.Open {
			v.Action += "; its sums were not compared, as gate and database could not be read at the same change: run it again"
		}
		views[i] = v
		rows = append(rows, []string{string(v.Sale), fmt.Sprint(v.Open), fmt.Sprint(v.Epoch), fmt.Sprint(v.Seeded), fmt.Sprint(v.StockLeft), fmt.Sprint(v.LiveUnits),
			fmt.Sprint(v.Missing), fmt.Sprint(v.Free), fmt.Sprint(v.Held), left, drift, fmt.Sprint(v.Ahead), fmt.Sprint(v.Lag), fmt.Sprint(v.Waiting), fmt.Sprint(v.DeadLetters), v.Action})
	}
	if c.json {
		return writeJSON(c.Stdout, views)
	}
	return table(c.Stdout, rows...)
}

// auditView is a row of the audit as it is printed.
type auditView struct {
	At     string           `json:"at"`
	Sale   flashgate.SaleID `json:"sale"`
	Epoch  uint64           `json:"epoch"`
	Action string           `json:"action"`
	Detail string           `json:"detail"`
}

func (c *cli) audit(ctx context.Context, args []string, max int) error {
	if max < 1 || max > 100_000 {
		return flashgate.Invalid("command.audit", "--max", "must be between 1 and 100000")
	}
	return c.apart(ctx, func(b *backends) error {
		var id flashgate.SaleID
		if len(args) > 0 {
			s, err := c.known(ctx, b, args[0])
			if err != nil {
				return err
			}
			id = s.ID
		}
		rows, err := b.real.database.Audits(ctx, id, max)
		if err != nil {
			return err
		}
		views := make([]auditView, len(rows))
		out := [][]string{{"AT", "SALE", "EPOCH", "ACTION", "DETAIL"}}
		for i, r := range rows {
			views[i] = auditView{At: stamp(r.At), Sale: r.Sale, Epoch: r.Epoch, Action: r.Action, Detail: r.Detail}
			out = append(out, []string{views[i].At, string(r.Sale), fmt.Sprint(r.Epoch), r.Action, r.Detail})
		}
		if c.json {
			return writeJSON(c.Stdout, views)
		}
		return table(c.Stdout, out...)
	})
}
