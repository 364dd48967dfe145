package pathpattern

import (
	"errors"
	"fmt"
	"strings"
)

// Tree is a path and all that lies below it, whatever the method. It never changes after
// ParseTree and may be used from any number of goroutines.
type Tree struct{ below Pattern }

// ParseTree reads a path such as /files/* or /users/*/files. A star stands for exactly one
// segment; at the end it may be left out, as what lies below belongs to the tree anyway,
// and so does the path itself. `/*` is everything. Literals are those of Parse. Every
// error says what to do.
func ParseTree(path string) (*Tree, error) {
	t := &Tree{below: Pattern{path: path}}
	if err := t.parse(path); err != nil {
		return nil, fmt.Errorf("path %q: %w", path, err)
	}
	return t, nil
}

func (t *Tree) parse(path string) error {
	rest, ok := strings.CutPrefix(path, "/")
	switch {
	case !ok:
		return errors.New("must start with a slash")
	case rest == "":
		return errors.New("has no segment: name at least one, such as /files/*, or write /* for all")
	case strings.ContainsAny(rest, "?#"):
		return errors.New("has a ? or a #: leave it and what follows out, the pattern is of the path only")
	case strings.ContainsAny(rest, "{}"):
		return errors.New("has a brace: write * for a segment, not a name or a placeholder")
	}
	parts := strings.Split(rest, "/")
	if parts[len(parts)-1] == "*" {
		parts = parts[:len(parts)-1]
	}
	for _, part := range append(parts, "*") {
		s := segment{name: "*"}
		if part != "*" {
			if strings.Contains(part, "*") {
				return fmt.Errorf("segment %q: * stands for a whole segment, such as /files/*", part)
			}
			var err error
			if s, err = parseSegment(part); err != nil {
				return err
			}
		}
		t.below.segments = append(t.below.segments, s)
	}
	return nil
}

// Path is the path as it was parsed.
func (t *Tree) Path() string { return t.below.path }

// Under reports whether some origin could take the path for one of the tree, in any
// spelling that Pattern.Under knows.
func (t *Tree) Under(escapedPath string) bool { return t.below.Under(escapedPath) }

// Has reports whether a path of one meaning, without anything to normalise, is of the
// tree. Case, and dots and blanks at the end of a segment, do not matter.
func (t *Tree) Has(path string) bool { return t.below.covers(path) }
