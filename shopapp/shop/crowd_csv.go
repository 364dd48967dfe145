package shop

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"flashgate"
)

// CrowdColumns head the file that WriteCSV writes. The last one is CrowdPassword on each
// line; a file may lack it.
var CrowdColumns = []string{"mobile", "user", "token", "password"}

// WriteCSV writes a crowd for a load generator: CrowdColumns, then a line for each
// member. Tokens and passwords let anybody in: write them only where no stranger reads.
func WriteCSV(w io.Writer, members []Member) error {
	out := csv.NewWriter(w)
	// A Writer keeps its first error, and Error returns it.
	_ = out.Write(CrowdColumns)
	for _, m := range members {
		_ = out.Write([]string{m.Mobile, string(m.User), string(m.Token), CrowdPassword})
	}
	out.Flush()
	return out.Error()
}

// ReadCSV reads what WriteCSV has written, with or without the passwords.
func ReadCSV(r io.Reader) ([]Member, error) {
	in := csv.NewReader(r)
	head, err := in.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !slices.Equal(head, CrowdColumns) && !slices.Equal(head, CrowdColumns[:3]) {
		return nil, fmt.Errorf("the first line must be %s", strings.Join(CrowdColumns, ","))
	}
	var members []Member
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return members, nil
		}
		if err != nil {
			return nil, err
		}
		members = append(members, Member{Mobile: row[0], User: flashgate.UserID(row[1]), Token: flashgate.SessionToken(row[2])})
	}
}
