package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"text/tabwriter"

	"flashgate"

	"github.com/spf13/cobra"
)

func cache() *cobra.Command {
	cmd := &cobra.Command{Use: "cache", Short: "Works on cached pages"}
	cmd.AddCommand(cachePurge(), cacheInspect(), cacheStats())
	return cmd
}

func cachePurge() *cobra.Command {
	var byURL, byPrefix, byTag string
	var all, soft bool
	cmd := &cobra.Command{
		Use:   "purge (--url URL | --prefix URL | --tag TAG | --all) [--soft]",
		Short: "Gives up cached pages, on all gateways",
		Long: `Gives up cached pages, on all gateways: those at an address with all their variants,
those whose address begins so, those that the origin has tagged (Cache-Tag,
Surrogate-Key), or all. With --soft they are stale as of now, and validated before they
are served, or served stale where that is allowed.`,
		Example: `  caddy flashgate cache purge --url https://shop.example/goods/1
  caddy flashgate cache purge --prefix https://shop.example/goods/ --soft
  caddy flashgate cache purge --tag goods-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var p flashgate.Purge
			named := 0
			for kind, value := range map[flashgate.PurgeKind]string{flashgate.PurgeURL: byURL, flashgate.PurgePrefix: byPrefix, flashgate.PurgeTag: byTag} {
				if value != "" {
					p.Kind, p.Value = kind, value
					named++
				}
			}
			if all {
				p.Kind = flashgate.PurgeAll
				named++
			}
			if named != 1 {
				return errors.New("give one of --url, --prefix, --tag and --all")
			}
			p.Soft = soft
			return ask(cmd, http.MethodPost, "/flashgate/cache/purge", p, nil)
		},
	}
	cmd.Flags().StringVar(&byURL, "url", "", "the pages at an address, such as https://shop.example/goods/1")
	cmd.Flags().StringVar(&byPrefix, "prefix", "", "the pages whose address begins so, such as https://shop.example/goods/")
	cmd.Flags().StringVar(&byTag, "tag", "", "the pages with a tag")
	cmd.Flags().BoolVar(&all, "all", false, "all pages")
	cmd.Flags().BoolVar(&soft, "soft", false, "make them stale instead of taking them away")
	return cmd
}

func cacheInspect() *cobra.Command {
	return &cobra.Command{
		Use:     "inspect URL",
		Short:   "Shows what is stored under an address: what, why, until when",
		Example: "  caddy flashgate cache inspect https://shop.example/goods/1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var pages []StoredPage
			if err := ask(cmd, http.MethodGet, "/flashgate/cache/inspect?url="+url.QueryEscape(args[0]), nil, &pages); err != nil {
				return err
			}
			if len(pages) == 0 {
				return fmt.Errorf("nothing is stored under %s in this gateway's memory: scheme, host and port must be those that the clients ask for", args[0])
			}
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			for _, p := range pages {
				fmt.Fprintf(out, "key\t%s\nbytes\t%d\nforgotten at\t%s\n", p.Key, p.Bytes, p.Ends.Format("2006-01-02 15:04:05 MST"))
				if len(p.Tags) > 0 {
					fmt.Fprintf(out, "tags\t%v\n", p.Tags)
				}
				if p.Soft {
					fmt.Fprintf(out, "purged\tsoftly: stale\n")
				}
				if p.Shared {
					fmt.Fprintf(out, "shared\tyes\n")
				}
				for _, name := range slices.Sorted(maps.Keys(p.Answer)) {
					fmt.Fprintf(out, "%s\t%v\n", name, p.Answer[name])
				}
				fmt.Fprintln(out)
			}
			return out.Flush()
		},
	}
}

func cacheStats() *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Shows what the page cache holds and has done since the start",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var stats map[string]json.RawMessage // numbers as they are: a float64 prints as 6.7e+07
			if err := ask(cmd, http.MethodGet, "/flashgate/cache/stats", nil, &stats); err != nil {
				return err
			}
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			for _, name := range slices.Sorted(maps.Keys(stats)) {
				fmt.Fprintf(out, "%s\t%s\n", name, bytes.Trim(stats[name], `"`))
			}
			return out.Flush()
		},
	}
}
