package command

import (
	"fmt"
	"net/http"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// limit is `caddy flashgate limit`.
func limit() *cobra.Command {
	cmd := &cobra.Command{
		Use: "limit", Short: "Works on access limits",
		Long: `LIMIT is a limit's name, as list shows it. CLIENT is who is counted: "address 192.0.2.1" (of a
limit with a prefix any address of the network, or the network: "address 2001:db8::/64"), "key u1"
for a user or another key, or "all". Of a limit with several keys name one CLIENT for each, in their
order. Quote all of them.`,
	}
	post := func(use, short, path string) *cobra.Command {
		return &cobra.Command{
			Use: use + " LIMIT CLIENT...", Short: short, Args: cobra.MinimumNArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				return ask(cmd, http.MethodPost, "/flashgate/limits/"+path, targetOf(args), nil)
			},
		}
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "Lists the limits, and who is banned or let pass", Args: cobra.NoArgs, RunE: list},
		&cobra.Command{Use: "inspect LIMIT CLIENT...", Short: "Shows what a request would be told now; costs nothing", Args: cobra.MinimumNArgs(2), RunE: inspect},
		post("reset", "Forgets what was counted", "reset"),
		marking("ban", "Refuses every request", "ban"),
		marking("allow", "Lets every request pass, uncounted", "allow"),
		post("pardon", "Takes a ban, or an exemption, back", "pardon"),
	)
	return cmd
}

func marking(use, short, path string) *cobra.Command {
	var hold, reason string
	cmd := &cobra.Command{
		Use: use + " LIMIT CLIENT...", Short: short + ", on all gateways", Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := targetOf(args)
			body.For, body.Reason = hold, reason
			return ask(cmd, http.MethodPost, "/flashgate/limits/"+path, body, nil)
		},
	}
	cmd.Flags().StringVar(&hold, "for", "1h", "how long, such as 10m or 30d, at most 366d")
	cmd.Flags().StringVar(&reason, "reason", "", "for whoever lists them later")
	return cmd
}

func targetOf(args []string) limitTarget {
	if len(args) == 2 {
		return limitTarget{Limit: args[0], Client: args[1]}
	}
	return limitTarget{Limit: args[0], Client: join(args[1:])}
}

func list(cmd *cobra.Command, _ []string) error {
	var l Limits
	if err := ask(cmd, http.MethodGet, "/flashgate/limits", nil, &l); err != nil {
		return err
	}
	out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, one := range l.Limits {
		fmt.Fprintf(out, "%s\t%d in %s\t%s\n", one.Name, one.Limit, one.Window, one.Algorithm)
	}
	for _, m := range l.Marks {
		what := "let pass"
		if m.Ban {
			what = "banned"
		}
		fmt.Fprintf(out, "%s\t%s until %s\t%s\n", named(m.Key, l.Limits), what, m.Until.UTC().Format(time.RFC3339), strconv.QuoteToASCII(m.Reason))
	}
	return out.Flush()
}

func inspect(cmd *cobra.Command, args []string) error {
	var v LimitVerdict
	err := ask(cmd, http.MethodPost, "/flashgate/limits/inspect", targetOf(args), &v)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "allowed\t%t\nremaining\t%d\nretry after\t%.3fs\nreset\t%.3fs\n", v.Allowed, v.Remaining, v.RetryAfter, v.Reset)
	if v.Mark != nil {
		what := "let pass"
		if v.Mark.Ban {
			what = "banned"
		}
		fmt.Fprintf(out, "mark\t%s until %s\t%s\n", what, v.Mark.Until.UTC().Format(time.RFC3339), strconv.QuoteToASCII(v.Mark.Reason))
	}
	return out.Flush()
}
