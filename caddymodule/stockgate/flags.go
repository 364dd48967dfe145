package stockgate

import (
	"net/http"

	"flashgate"
	"flashgate/caddymodule/app"
)

// flags are the refusals for which the stock is not asked, by its outcome. They are counted
// apart from those for which it was: as sold_out_flag, ended_flag and not_started_flag.
type flags map[flashgate.Outcome]*app.Refusal

func newFlags() flags {
	fs := flags{}
	for outcome, code := range map[flashgate.Outcome]flashgate.Code{
		flashgate.OutcomeSoldOut:    flashgate.CodeSoldOut,
		flashgate.OutcomeEnded:      flashgate.CodeEnded,
		flashgate.OutcomeNotStarted: flashgate.CodeNotStarted,
	} {
		fs[outcome] = app.NewRefusal(&flashgate.Error{Code: code, Op: op}, string(code)+"_flag")
	}
	return fs
}

// flagged answers as the stock would.
func (h *Handler) flagged(w http.ResponseWriter, known flashgate.Reserved) error {
	return h.flags[known.Outcome].Send(w, known.OpensIn, h.Errors.Caddy())
}
