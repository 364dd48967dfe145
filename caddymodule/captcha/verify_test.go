package captcha_test

import (
	"testing"

	"flashgate"
	"flashgate/caddymodule/captcha"
)

func TestParseAnswer(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, kind, body, want string
		code                   flashgate.Code
	}{
		{"JSON", "application/json", `{"captcha":"17","name":"Ann"}`, "17", ""},
		{"JSON without a type", "", ` {"captcha":"17"}`, "17", ""},
		{"JSON without an answer", "application/json", `{"name":"Ann"}`, "", ""},
		{"nothing", "application/json", " \n", "", ""},
		{"a form", form, "name=Ann&captcha=1+7", "1 7", ""},
		{"a form with two", form, "captcha=1&captcha=2", "1", ""},
		{"a form without an answer", form, "", "", ""},
		{"a number", "application/json", `{"captcha":17}`, "", flashgate.CodeInvalid},
		{"a list", "application/json", `["17"]`, "", flashgate.CodeInvalid},
		{"half of it", "application/json", `{"captcha":"17`, "", flashgate.CodeInvalid},
		{"a form that is none", form, "captcha=%zz", "", flashgate.CodeInvalid},
	} {
		got, err := captcha.ParseAnswer(tt.kind, []byte(tt.body))
		if got != tt.want || flashgate.ErrorCode(err) != tt.code {
			t.Errorf("%s: %q, %v; want %q, %q", tt.name, got, err, tt.want, tt.code)
		}
	}
}
