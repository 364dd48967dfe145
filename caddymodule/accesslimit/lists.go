package accesslimit

import (
	"net/http"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
)

// What the lists of the configuration say of a request.
const (
	notListed = iota
	listedExempt
	listedBlocked
)

// listed looks a request up in the lists. A block wins.
func (h *Handler) listed(r *http.Request) (int, error) {
	if len(h.block) > 0 {
		if matched, err := h.block.AnyMatchWithError(r); err != nil || matched {
			return listedBlocked, err
		}
	}
	if len(h.exempt) > 0 {
		if matched, err := h.exempt.AnyMatchWithError(r); err != nil || matched {
			return listedExempt, err
		}
	}
	return notListed, nil
}

func (h *Handler) forbid(w http.ResponseWriter, r *http.Request, why string) error {
	app.CountDecision(op, why)
	return h.app.Fail(w, r, op, &flashgate.Error{Code: flashgate.CodeForbidden, Op: op, Message: "This is not for you."}, h.Errors.Caddy())
}

// marked looks for what operators, or escalations, have said of the request's clients. A
// ban by any limit wins; to pass uncounted, one word is enough. banned is until when, and
// zero for who is not.
func (h *Handler) marked(charges []flashgate.Charge) (banned time.Time, passes bool) {
	for i := range charges {
		m, ok := h.app.Mark(charges[i].Key)
		switch {
		case ok && m.Ban:
			return m.Until, false
		case ok:
			passes = true
		}
	}
	return time.Time{}, passes
}

// escalate counts a refusal and bans the client when there were too many.
func (h *Handler) escalate(l *Limit, key string) {
	charges := [1]flashgate.Charge{{Key: "refused/" + key, Rate: l.Escalation.rate()}}
	h.local.Charge(charges[:], int64(time.Since(h.begin))+1)
	if charges[0].Verdict.Allowed && charges[0].Verdict.Remaining > 0 {
		return
	}
	h.local.Reset(charges[0].Key)
	m := flashgate.Mark{Key: key, Ban: true, Until: time.Now().Add(time.Duration(l.Escalation.For)), Reason: "refused too often by " + l.Name}
	h.app.Escalate(m)
}
