package command

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/challenge"
	"flashgate/internal/keyfile"

	"github.com/spf13/cobra"
)

func sign() *cobra.Command {
	cmd := &cobra.Command{Use: "sign", Short: "Makes signing keys, and paths and addresses signed with them"}
	cmd.AddCommand(&cobra.Command{
		Use:   "key",
		Short: "Prints a new signing key: put it first in FLASHGATE_KEYS",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), flashgate.NewKey())
			return err
		},
	}, signPath(), signURL(), signRotate())
	return cmd
}

func signPath() *cobra.Command {
	var sale, user, session, dir string
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "path",
		Short: "Prints a path token and its order id",
		Long:  "Signs with the newest key of FLASHGATE_KEYS, or of the data folder when that is unset.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			if _, err := flashgate.ParseSaleID(sale); err != nil {
				return err
			}
			if _, err := flashgate.ParseUserID(user); err != nil {
				return err
			}
			if ttl <= 0 {
				return errors.New("--ttl must be positive")
			}
			keys, err := keyring(dir)
			if err != nil {
				return err
			}
			path, order := keys.Mint(flashgate.Claim{Sale: sale, Session: session, User: user}, time.Now().Add(ttl))
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "path: %s\norder: %s\n", path, order)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&sale, "sale", "", "sale id")
	flags.StringVar(&user, "user", "", "user id")
	flags.StringVar(&session, "session", "", "key of the session, as {http.auth.user.session} has it; empty where logins have none")
	flags.DurationVar(&ttl, "ttl", time.Minute, "how long the path is valid")
	flags.StringVar(&dir, "data-dir", app.DefaultDataDir, "data folder with the keys, when FLASHGATE_KEYS is unset")
	for _, name := range []string{"sale", "user"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// keyring reads the keys as the gateway does, but makes none: a path that is signed
// with a key of its own opens nothing.
func keyring(dir string) (*flashgate.Keyring, error) {
	if setting := os.Getenv("FLASHGATE_KEYS"); setting != "" {
		source, err := keyfile.Open(setting, "", nil)
		if err != nil {
			return nil, plain(err)
		}
		return source.Keyring(), nil
	}
	if _, err := os.Stat(filepath.Join(dir, keyfile.Name)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there are no keys in %s yet: set FLASHGATE_KEYS, or name the gateway's folder with --data-dir", dir)
	}
	return keyfile.LoadOrCreate(dir)
}

func captcha() *cobra.Command {
	var file, kind string
	cmd := &cobra.Command{
		Use:   "captcha",
		Short: "Draws a sample captcha and prints its answer",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			kinds := map[string]challenge.Kind{"math": challenge.NewMath(), "digits": challenge.NewDigits()}
			k, ok := kinds[kind]
			if !ok {
				return fmt.Errorf("there is no kind %q: use %s", kind, strings.Join(sorted(kinds), " or "))
			}
			sample, err := k.Image(challenge.NewSeed())
			if err != nil {
				return err
			}
			if err := os.WriteFile(file, sample.Body, 0o644); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, the answer is %s\n", file, sample.ContentType, sample.Answer)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "out", "captcha.png", "file to write")
	cmd.Flags().StringVar(&kind, "kind", "math", "what to draw: math or digits")
	return cmd
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
