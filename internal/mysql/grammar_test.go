package mysql_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser"
	_ "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// Every statement parses by the grammar of MySQL 8, whatever server the other tests
// run on.
func TestGrammarOfMySQL8(t *testing.T) {
	t.Parallel()
	n := 0
	err := fs.WalkDir(os.DirFS("sql"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile("sql/" + path)
		if err != nil {
			return err
		}
		nodes, warnings, err := parser.New().Parse(string(text), "", "")
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", path, err, warnings)
		}
		if want := strings.Count(string(text), ";\n"); len(nodes) != want {
			t.Errorf("%s: %d statements parsed, it has %d", path, len(nodes), want)
		}
		n += len(nodes)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 40 {
		t.Errorf("only %d statements were found", n)
	}
	for _, bad := range []string{"DELETE FROM event WHERE id = 1 RETURNING id", "SELECT 1 FROM sale FOR UPDATE SKIP"} {
		if _, _, err := parser.New().Parse(bad, "", ""); err == nil {
			t.Errorf("the parser takes %q, which MySQL does not", bad)
		}
	}
}
