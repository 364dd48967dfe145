package challenge_test

import (
	"strings"
	"testing"

	"flashgate/internal/challenge"
)

func TestEqual(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, answer, given string
		want                bool
	}{
		{"the same", "17", "17", true},
		{"space around", "17", " \t17\r\n", true},
		{"space within", "170", "1 7 0", true},
		{"ideographic, no-break and zero-width space", "17", "\u30001\u00a0\u200b7\ufeff", true},
		{"full-width digits", "1290", "１２９０", true},
		{"every minus sign", "-1-2-3-4", "−1–2﹣3－4", true},
		{"leading zeros of spoken digits", "007123", "007 123", true},

		{"another number", "17", "18", false},
		{"prefix", "17", "1", false},
		{"too much", "17", "170", false},
		{"leading zero", "17", "017", false},
		{"zeros left out", "007123", "7123", false},
		{"empty", "17", "", false},
		{"space only", "17", " \u3000 ", false},
		{"space is no zero", "0", " ", false},
		{"empty answer, empty given", "", "", false},
		{"empty answer, space given", "", " ", false},
		{"sign", "17", "-17", false},
		{"longer than anybody types", "17", strings.Repeat(" ", 63) + "17", false},
		{"as long as anybody types", "17", strings.Repeat(" ", 62) + "17", true},
		{"invalid UTF-8", "17", "17\xff", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := challenge.Equal(tt.answer, tt.given); got != tt.want {
				t.Errorf("Equal(%q, %q) = %v, want %v", tt.answer, tt.given, got, tt.want)
			}
		})
	}
}

// FuzzEqual checks that an answer made only of digits is right for nothing else
// than its own digits, in order, in either width.
func FuzzEqual(f *testing.F) {
	f.Add("17", " １7")
	f.Add("007123", "007 123")
	f.Add("", "\u3000")
	f.Fuzz(func(t *testing.T, answer, given string) {
		if strings.Trim(answer, "0123456789") != "" {
			return
		}
		if answer != "" && len(answer) <= 64 && !challenge.Equal(answer, answer) {
			t.Errorf("%q is not right for itself", answer)
		}
		if !challenge.Equal(answer, given) {
			return
		}
		var digits strings.Builder
		for _, r := range given {
			if i := strings.IndexRune("0123456789", r); i >= 0 {
				digits.WriteRune(r)
			} else if '０' <= r && r <= '９' {
				digits.WriteByte("0123456789"[r-'０'])
			}
		}
		if answer == "" || digits.String() != answer {
			t.Errorf("Equal(%q, %q) = true, though it has the digits %q", answer, given, digits.String())
		}
	})
}
