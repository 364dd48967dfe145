package app_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

func ban(t *testing.T, a *app.App, key string) {
	t.Helper()
	if err := a.SetMark(t.Context(), flashgate.Mark{Key: key, Ban: true, Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
}

func isBanned(a *app.App, key string) bool {
	m, ok := a.Mark(key)
	return ok && m.Ban
}

// A gateway that nobody has asked for a while begins with what is true: its first request
// is judged by a ban of another gateway, too.
func TestAnIdleGatewayKnowsABan(t *testing.T) {
	url := serverstest.Redis(t).URL()
	idle, busy := must(t, stateOn(t.TempDir(), url)), must(t, stateOn(t.TempDir(), url))
	key := fmt.Sprint("idle ", time.Now().UnixNano())
	if isBanned(idle, key) {
		t.Fatal("nobody has banned it")
	}
	ban(t, busy, key)
	<-time.After(2100 * time.Millisecond) // that it is idle for so long is the case
	if !isBanned(idle, key) {
		t.Error("the first request after a while passes")
	}
}

// Bans hold while Redis is away, also over a reload.
func TestBansHoldWhileRedisIsAway(t *testing.T) {
	server := serverstest.OwnRedis(t, servers.RedisConfig{})
	dir := t.TempDir()
	before := must(t, stateOn(dir, server.URL()))
	ban(t, before, "bot")
	if !isBanned(before, "bot") {
		t.Fatal("the ban does not hold")
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	after := must(t, stateOn(dir, server.URL()))
	for range 3 {
		if !isBanned(before, "bot") || !isBanned(after, "bot") || isBanned(after, "person") {
			t.Fatal("bans are lost")
		}
	}
	other := must(t, stateOn(dir, "redis://"+nobody(t)))
	if isBanned(other, "bot") {
		t.Error("another Redis has this one's bans")
	}
}

// OWASP OAT-015, denial of service: a crowd of keys that are all refused too often. What
// limits ban by themselves leaves room for operators, and few are written at once.
func TestACrowdOfBans(t *testing.T) {
	a := must(t, in(t.TempDir()))
	a.Mark("nobody")
	begin := runtime.NumGoroutine()
	most := 0
	escalate := func(i int) {
		a.Escalate(flashgate.Mark{Key: fmt.Sprint("bot ", i), Ban: true, Until: time.Now().Add(time.Hour)})
		most = max(most, runtime.NumGoroutine()-begin)
	}
	count := func() int {
		all, err := a.Marks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	for i := range flashgate.MaxMarks*9/10 - 100 {
		ban(t, a, fmt.Sprint("known ", i))
	}
	i := 0
	for deadline := time.Now().Add(20 * time.Second); i%50 != 0 || count() < flashgate.MaxMarks*9/10; i++ {
		if escalate(i); time.Now().After(deadline) {
			t.Fatalf("%d bans", count())
		}
	}
	for range 5000 {
		i++
		escalate(i)
	}
	// Those that were under way when the bound was reached come on top.
	if n := count(); n > flashgate.MaxMarks*9/10+4 {
		t.Errorf("%d bans by limits", n)
	}
	if most > 8 {
		t.Errorf("%d goroutines write bans", most)
	}
	ban(t, a, "by an operator")
	if !isBanned(a, "by an operator") || !isBanned(a, "known 5") {
		t.Error("an operator's ban does not hold")
	}
}

// Two limits of one name share their counters, so they must count alike.
func TestLimitsOfOneName(t *testing.T) {
	a := must(t, in(t.TempDir()))
	rate := flashgate.Rate{Limit: 5, Window: time.Minute}
	if err := a.AddLimit(app.NamedLimit{Name: "x", Rate: rate}); err != nil {
		t.Fatal(err)
	}
	rate.Algorithm = flashgate.SlidingWindow // the default
	if err := a.AddLimit(app.NamedLimit{Name: "x", Rate: rate}); err != nil {
		t.Error(err)
	}
	rate.Limit = 6
	if err := a.AddLimit(app.NamedLimit{Name: "x", Rate: rate}); err == nil {
		t.Error("another rate is accepted")
	}
	if n := len(a.Limits()); n != 1 {
		t.Errorf("%d limits", n)
	}
}
