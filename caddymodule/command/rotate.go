package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/keyfile"

	"github.com/spf13/cobra"
)

func signRotate() *cobra.Command {
	var file, dir string
	var in, keep time.Duration
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Puts a new signing key into the file of keys; nothing has to be restarted",
		Long: `Adds a new key that signs after --in, and gives the older ones an end, --keep later. Gateways, shop and
worker read the file within a second, so the new key is believed everywhere before it signs. With a copy of the file on
several machines, choose --in so long that all of them have it by then.

Until --keep is over, what an older key has signed counts: choose it longer than the longest outage that orders may have
to wait through.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			if file == "" {
				setting := strings.TrimSpace(os.Getenv("FLASHGATE_KEYS"))
				path, named := strings.CutPrefix(setting, keyfile.Scheme)
				switch {
				case named:
					file = path
				case setting != "":
					return errors.New("FLASHGATE_KEYS holds the keys themselves, which no command can change: put them into a file, and set FLASHGATE_KEYS=file:<path>")
				default:
					file = filepath.Join(dir, keyfile.Name)
				}
			}
			now := time.Now()
			schedule, err := keyfile.Rotate(file, now, in, keep)
			if err != nil {
				return plain(err)
			}
			return printSchedule(cmd.OutOrStdout(), schedule, now)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "file", "", "file with the keys; default: that of FLASHGATE_KEYS=file:<path>, or else keys in the data folder")
	flags.StringVar(&dir, "data-dir", app.DefaultDataDir, "data folder with the keys, when FLASHGATE_KEYS is unset")
	flags.DurationVar(&in, "in", time.Minute, "when the new key begins to sign; 0s only where one process signs")
	flags.DurationVar(&keep, "keep", 7*24*time.Hour, "how long the older keys verify after that: at least 24h")
	return cmd
}

// plain is the text of an error for a person.
func plain(err error) error {
	e, ok := errors.AsType[*flashgate.Error](err)
	switch {
	case !ok:
		return err
	case e.Err != nil:
		return e.Err
	case e.Field == "keys":
		return fmt.Errorf("FLASHGATE_KEYS: %s", e.Message)
	case e.Field != "":
		return fmt.Errorf("--%s %s", e.Field, e.Message)
	default:
		return errors.New(e.Message)
	}
}

// printSchedule says what each key does, and never what it is.
func printSchedule(w io.Writer, schedule *flashgate.KeySchedule, now time.Time) error {
	for i, k := range schedule.Keys() {
		text := fmt.Sprintf("key %d: verifies", i+1)
		if !k.From.IsZero() && now.Before(k.From) {
			text += ", signs from " + k.From.UTC().Format(time.RFC3339)
		}
		if !k.Until.IsZero() {
			text += ", ends at " + k.Until.UTC().Format(time.RFC3339)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
