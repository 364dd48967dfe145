package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand(os.Stdout).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

func newCommand(out io.Writer) *cobra.Command {
	var dir string
	var wipe bool
	root := &cobra.Command{
		Use:           "services",
		Short:         "Private Redis, RabbitMQ and MariaDB in the background",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(out)
	root.PersistentFlags().StringVar(&dir, "dir", "./data/services", "folder of data, logs and state")
	stopping := &cobra.Command{
		Use: "stop", Short: "End exactly the processes that start has started", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return locked(dir, func() error { return stop(dir, wipe, out) }) },
	}
	stopping.Flags().BoolVar(&wipe, "wipe", false, "remove their data too")
	root.AddCommand(
		&cobra.Command{
			Use: "start", Short: "Start what does not run and print the URLs", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return locked(dir, func() error { return start(cmd.Context(), dir, out) })
			},
		},
		&cobra.Command{
			Use: "status", Short: "Print the URLs and which processes run; fails when one does not", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return status(dir, out) },
		},
		stopping,
	)
	return root
}
