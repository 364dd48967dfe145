package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "flashgate",
		Short:     "Looks after flashgate: state, cache, limits, captchas, keys",
		Long:      "doctor, cache and limit talk to a running Caddy over its admin API; captcha and sign need none.",
		CobraFunc: AddTo,
	})
}

// AddTo adds the subcommands to `caddy flashgate`.
func AddTo(cmd *cobra.Command) {
	cmd.PersistentFlags().String("address", "", "address of the admin API; default: the one in --config")
	cmd.PersistentFlags().StringP("config", "c", "", "configuration file to read the address from; default: none, and localhost:2019")
	cmd.PersistentFlags().StringP("adapter", "a", "", "adapter of the configuration file")
	cmd.AddCommand(doctor(), cache(), limit(), captcha(), sign())
}

func doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Shows the backends and what the gateway decided; fails when a backend is away",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s Status
			if err := ask(cmd, http.MethodGet, "/flashgate/status", nil, &s); err != nil {
				return err
			}
			return report(cmd, s)
		},
	}
}

// report prints a status and fails when a backend is away.
func report(cmd *cobra.Command, s Status) error {
	out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "version\t%s\ndata\t%s\n", s.Version, s.DataDir)
	away := 0
	for _, b := range s.Backends {
		fmt.Fprintf(out, "%s\t%s\t%s\n", b.Name, b.Status, b.Module)
		if b.Status != "ok" {
			away++
			fmt.Fprintf(out, "\t%s\n", b.Error)
		}
	}
	for _, directive := range sorted(s.Decisions) {
		for _, result := range sorted(s.Decisions[directive]) {
			fmt.Fprintf(out, "%s\t%s\t%d\n", directive, result, s.Decisions[directive][result])
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if away > 0 {
		return fmt.Errorf("%d of %d backends away", away, len(s.Backends))
	}
	return nil
}

// ask sends one request to the admin API.
func ask(cmd *cobra.Command, method, uri string, body, answer any) error {
	cmd.SilenceUsage = true // what goes wrong from here on is not the command line
	flag := func(name string) string { return cmd.Flag(name).Value.String() }
	address, err := caddycmd.DetermineAdminAPIAddress(flag("address"), nil, flag("config"), flag("adapter"))
	if err != nil {
		return err
	}
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	res, err := caddycmd.AdminAPIRequest(address, method, uri, nil, &sent)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if answer == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(answer)
}
