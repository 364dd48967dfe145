package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"flashgate"
)

// Exit codes of Main.
const (
	ExitDone   = 0
	ExitFailed = 1 // understood, but not possible, or a backend is away
	ExitUsage  = 2 // the command line or a setting is wrong
)

// Process is what a command may touch of the process it runs in. All fields but
// Interactive are required.
type Process struct {
	Args           []string // without the program's name
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Interactive    bool // Stdin is a terminal: the commands may ask
}

// Main runs one command line and returns the exit code. It ends early, and cleanly,
// when ctx ends.
func Main(ctx context.Context, p Process) int {
	c := &cli{Process: p}
	root := c.root()
	root.SetArgs(append([]string{}, p.Args...)) // cobra takes nil for os.Args
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	code, exit := flashgate.CodeInvalid, ExitUsage // what cobra itself refuses
	if f, ok := errors.AsType[failure](err); ok {
		if code = flashgate.ErrorCode(f.error); code != flashgate.CodeInvalid {
			exit = ExitFailed
		}
	}
	// A mistake before --json on the command line must not turn it off.
	if c.json || slices.Contains(p.Args, "--json") {
		_ = writeJSON(p.Stderr, map[string]string{"code": string(code), "detail": explain(err)})
	} else {
		fmt.Fprintln(p.Stderr, "orderworker:", explain(err))
	}
	return exit
}

// cli is one command line at work.
type cli struct {
	Process
	data string // --data
	json bool   // --json
}

// failure marks an error that came from a command and not from cobra.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// do adapts a command's work to cobra.
func do(work func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := work(cmd.Context(), args); err != nil {
			return failure{err}
		}
		return nil
	}
}

// explain is the error in an operator's words: what is wrong and, unlike what a
// visitor of the shop gets to see, why.
func explain(err error) string {
	e, ok := errors.AsType[*flashgate.Error](err)
	if !ok {
		return err.Error()
	}
	msg := e.Message
	if msg == "" {
		msg = flashgate.Info(e.Code).Title
	}
	if e.Field != "" {
		msg = e.Field + " " + msg
	}
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "orderworker",
		Short: "Decides the orders of flash sales, and manages sales, orders and dead letters",
		Long: `orderworker decides the orders of flash sales, and manages sales, orders and dead letters.

Without a command it runs the worker. The settings are REDIS_URL, AMQP_URL and
MYSQL_DSN (the real backends, all three or none), FLASHGATE_DATA (folder of the
embedded files, ./data), WORKER_ADDR (health and metrics, 127.0.0.1:8082), ORDER_TTL
(how long an unpaid order is kept, 15m), FLASHGATE_KEYS (the gateways' signing keys;
when they are set an order that none of them has signed is a dead letter) and, for the
real backends, SALE_BOUND (how many units of a sale may be held undecided at once,
100000).`,
		Args: cobra.NoArgs, RunE: do(c.run),
		SilenceErrors: true, SilenceUsage: true,
	}
	// The completion command of cobra would be one more thing to keep true.
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&c.data, "data", "", "folder of the embedded files (default $FLASHGATE_DATA or ./data)")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON, errors too")
	root.AddCommand(
		&cobra.Command{Use: "run", Short: "Run the worker until it is told to stop", Args: cobra.NoArgs, RunE: do(c.run)},
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: do(c.version)},
		c.saleCommand(), c.ordersCommand(), c.reconcileCommand(),
	)
	return root
}

// group is a command that only has subcommands.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s needs a command; see: %s --help", cmd.CommandPath(), cmd.CommandPath())
			}
			return fmt.Errorf("unknown command %q for %q; see: %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())
		},
	}
	g.AddCommand(subs...)
	return g
}

// exactly says what is missing by name, where cobra only counts.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return fmt.Errorf("wrong number of arguments (%d); it is: %s", len(args), cmd.UseLine())
	}
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
