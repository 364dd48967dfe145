package command

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version prints what was built, from what, and with which Go.
func (c *cli) version(context.Context, []string) error {
	if c.json {
		return writeJSON(c.Stdout, map[string]string{"version": buildVersion(), "go": runtime.Version()})
	}
	_, err := fmt.Fprintf(c.Stdout, "orderworker %s %s\n", buildVersion(), runtime.Version())
	return err
}

// buildVersion is the module's version, which carries the commit when the build came
// from a checkout.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
