package flashgate_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"flashgate"
)

// Every constant of type Code has exactly one row in the table.
func TestCodesIsComplete(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Type != nil {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Code" {
				constants += len(v.Names)
			}
		}
		return true
	})
	seen := map[flashgate.Code]bool{}
	for _, c := range flashgate.Codes {
		if seen[c.Code] || c.Title == "" || c.Status < 400 || c.Status > 599 {
			t.Errorf("bad row %+v", c)
		}
		seen[c.Code] = true
	}
	if constants == 0 || constants != len(flashgate.Codes) {
		t.Errorf("%d constants, %d rows", constants, len(flashgate.Codes))
	}
}

func TestErrorCode(t *testing.T) {
	t.Parallel()
	e := &flashgate.Error{Code: flashgate.CodeSoldOut, Err: context.Canceled}
	for _, c := range []struct {
		err  error
		want flashgate.Code
	}{
		{nil, ""}, {errors.New("x"), flashgate.CodeInternal}, {fmt.Errorf("at: %w", e), flashgate.CodeSoldOut},
	} {
		if got := flashgate.ErrorCode(c.err); got != c.want {
			t.Errorf("ErrorCode(%v) = %q, want %q", c.err, got, c.want)
		}
	}
	if !errors.Is(e, context.Canceled) {
		t.Error("the cause is lost")
	}
	if flashgate.Info("made up").Code != flashgate.CodeInternal {
		t.Error("an unknown code is not internal")
	}
}
