package pathpattern_test

import (
	"testing"

	"flashgate/internal/pathpattern"
)

func TestTree(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tree, path string
		want       bool
	}{
		{"/files/*", "/files", true},
		{"/files/*", "/files/", true},
		{"/files/*", "/files/a/b", true},
		{"/files/*", "/FILES/a", true},
		{"/files/*", "/files2/a", false},
		{"/files/*", "/x/files/a", false},
		{"/files", "/files/a", true},
		{"/report.pdf", "/report.pdf", true},
		{"/report.pdf", "/report.pdf/x.php", true},
		{"/report.pdf", "/report.txt", false},
		{"/users/*/files/*", "/users/1/files/a", true},
		{"/users/*/files/*", "/users/1/file/a", false},
		{"/users/*/files/*", "/users/files/a", false},
		{"/*", "/", true},
		{"/*", "/a", true},
	} {
		tree, err := pathpattern.ParseTree(c.tree)
		if err != nil {
			t.Fatal(err)
		}
		if got := tree.Has(c.path); got != c.want {
			t.Errorf("%s has %s: %v", c.tree, c.path, got)
		}
		if got := tree.Under(c.path); got != c.want {
			t.Errorf("%s under %s: %v", c.tree, c.path, got)
		}
		if tree.Path() != c.tree {
			t.Errorf("the path of %s is %s", c.tree, tree.Path())
		}
	}
}

// What a guard of /files/* must not let by: the spellings that Under knows.
func TestTreeUnder(t *testing.T) {
	t.Parallel()
	tree, err := pathpattern.ParseTree("/files/*")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"//files/a": true, "/files%2Fa": true, "/%66iles/a": true, "/x/../files/a": true, "/files;x/a": true, `/files\a`: true,
		"/%2566iles": true, "/x/..;/files": true, "*": false, "": false, "/": false, "/x/../filesx": false,
	} {
		if got := tree.Under(path); got != want {
			t.Errorf("under %q: %v", path, got)
		}
	}
	all, err := pathpattern.ParseTree("/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "*", "/", "//", "/a%2F"} {
		if !all.Under(path) {
			t.Errorf("%q is not under /*", path)
		}
	}
}

func TestParseTreeErrors(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"":           `path "": must start with a slash`,
		"files":      `path "files": must start with a slash`,
		"/":          `path "/": has no segment: name at least one, such as /files/*, or write /* for all`,
		"/a/":        `path "/a/": has an empty segment: remove the double or trailing slash`,
		"/a//b":      `path "/a//b": has an empty segment: remove the double or trailing slash`,
		"/a*":        `path "/a*": segment "a*": * stands for a whole segment, such as /files/*`,
		"/{id}":      `path "/{id}": has a brace: write * for a segment, not a name or a placeholder`,
		"/a?b":       `path "/a?b": has a ? or a #: leave it and what follows out, the pattern is of the path only`,
		"/a/../b":    `path "/a/../b": segment "..": write the path out, without dot segments`,
		"/a%20b":     `path "/a%20b": segment "a%20b": percent-encode only bytes outside ASCII, as %XX; write the others as they are`,
		"/a;b":       `path "/a;b": segment "a;b": ';' cannot stand in a pattern, use letters, digits and any of -._~!$&'()+,=:@`,
		"/files/**":  `path "/files/**": segment "**": * stands for a whole segment, such as /files/*`,
		"/files/*/ ": `path "/files/*/ ": segment " ": ' ' cannot stand in a pattern, use letters, digits and any of -._~!$&'()+,=:@`,
	} {
		if _, err := pathpattern.ParseTree(path); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", path, err, want)
		}
	}
}
