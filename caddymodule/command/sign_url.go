package command

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"flashgate/caddymodule/app"
	"flashgate/internal/signedurl"

	"github.com/spf13/cobra"
)

func signURL() *cobra.Command {
	var address, dir string
	var terms signedurl.Terms
	cmd := &cobra.Command{
		Use:   "url <url>",
		Short: "Prints an address with a signature, for the directive hidden_path and the matcher signed_path",
		Long: `Signs a whole address, such as https://shop.example/files/1, or with --any-host a path. Signs with the newest key of
FLASHGATE_KEYS, or of the data folder when that is unset.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			if address != "" {
				prefix, err := parsePrefix(address)
				if err != nil {
					return err
				}
				terms.Address = prefix
			}
			keys, err := keyring(dir)
			if err != nil {
				return err
			}
			signed, err := signedurl.Sign(keys, args[0], terms, time.Now())
			if err != nil {
				return plain(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), signed)
			return err
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&terms.TTL, "ttl", time.Hour, "how long the address is valid: 1s to 8784h")
	flags.StringVar(&terms.Method, "method", "GET", "for which method; GET is for HEAD as well")
	flags.StringVar(&address, "address", "", "for this client's address only, or for a network such as 2001:db8::/64")
	flags.BoolVar(&terms.AnyHost, "any-host", false, "for any host name")
	flags.BoolVar(&terms.AnyQuery, "any-query", false, "whatever else is in the query")
	flags.StringVar(&terms.Parameter, "parameter", signedurl.DefaultParameter, "name of the signature's parameter")
	flags.StringVar(&dir, "data-dir", app.DefaultDataDir, "data folder with the keys, when FLASHGATE_KEYS is unset")
	return cmd
}

// parsePrefix reads an address, or a network.
func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("--address %s is no network such as 2001:db8::/64", text)
		}
		return p, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("--address %s is no address such as 203.0.113.7", text)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
