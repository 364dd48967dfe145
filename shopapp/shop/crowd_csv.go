package shop

import (
	"encoding/csv"
	"io"
)

// CrowdColumns head the file that WriteCSV writes.
var CrowdColumns = []string{"mobile", "user", "token"}

// WriteCSV writes a crowd for a load generator: CrowdColumns, then a line for each
// member. A token is as good as a login: write it only where no stranger reads.
func WriteCSV(w io.Writer, members []Member) error {
	out := csv.NewWriter(w)
	// A Writer keeps its first error, and Error returns it.
	_ = out.Write(CrowdColumns)
	for _, m := range members {
		_ = out.Write([]string{m.Mobile, string(m.User), string(m.Token)})
	}
	out.Flush()
	return out.Error()
}
