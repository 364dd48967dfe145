package jmeter_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/sqlite"
)

// shop is a site that answers what a run asks before it begins.
type shop struct {
	phase string // of the sale; empty: open
	sale  string // its id; empty: any
	noKey bool   // load testers are told nothing
	out   bool   // nobody is logged in
	tls   bool   // with a certificate of nobody's
	noMe  bool   // who is logged in is not told
	moved bool   // everything is elsewhere
}

func newShop(t *testing.T, s shop) (address string) {
	t.Helper()
	start := httptest.NewServer
	if s.tls {
		start = httptest.NewTLSServer
	}
	site := start(s)
	t.Cleanup(site.Close)
	return site.URL
}

func (s shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, captcha := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/api/sales/"), "/captcha")
	switch {
	case s.moved:
		http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusMovedPermanently)
	case r.URL.Path == "/api/me" && s.noMe:
		w.WriteHeader(http.StatusNotFound)
	case captcha && !s.noKey && r.Header.Get("Flashgate-Loadtest") == "the-key":
		w.Header().Set("Captcha-Answer", "17")
	case captcha:
	case r.URL.Path == "/api/me" && s.out:
		w.WriteHeader(http.StatusUnauthorized)
	case !strings.HasPrefix(r.URL.Path, "/api/sales/"):
	case s.sale != "" && s.sale != id:
		w.WriteHeader(http.StatusNotFound)
	default:
		phase := s.phase
		if phase == "" {
			phase = "open"
		}
		fmt.Fprintf(w, `{"id":%q,"phase":%q}`, id, phase)
	}
}

// usersFile writes a file of users.
func usersFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const fiveUsers = "mobile,user,token\n1,a,ta\n2,b,tb\n3,c,tc\n4,d,td\n5,e,te\n"

// closedSale has a sale one that an operator has closed.
func closedSale(t *testing.T) (folder string) {
	t.Helper()
	folder = saleFolder(t, "one")
	store, err := sqlite.Open(filepath.Join(folder, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.ChangeSale(t.Context(), "one", flashgate.SaleChange{Close: true}); err != nil {
		t.Fatal(err)
	}
	return folder
}

// closedGate has a sale one that is open in the database alone.
func closedGate(t *testing.T) (folder string) {
	t.Helper()
	folder = saleFolder(t, "one")
	db, err := sql.Open("sqlite", filepath.Join(folder, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DELETE FROM gate"); err != nil {
		t.Fatal(err)
	}
	return folder
}

// Whatever is wrong with the input: one clear line, exit status 2, and JMeter was not
// started.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	file := usersFile(t, fiveUsers)
	good := map[string]string{
		"USERS": "5", "SALE": "one", "USERS_CSV": file, "FLASHGATE_LOADTEST_KEY": "the-key", "FLASHGATE_DATA": saleFolder(t, "one"), "REPORT": "no",
	}
	for _, c := range []struct {
		name  string
		shop  shop
		args  []string          // default: flash-sale
		other map[string]string // settings in the place of the good ones
		says  string
	}{
		{name: "a plan that does not exist", args: []string{"flash-sail"}, says: `no plan "flash-sail"; there are `},
		{name: "no host", other: map[string]string{"TARGET": "http://127.0.0.1:1"}, says: "http://127.0.0.1:1 does not answer"},
		{name: "a name that nobody has", other: map[string]string{"TARGET": "http://shop.invalid"}, says: "http://shop.invalid does not answer"},
		{name: "no address", other: map[string]string{"TARGET": "127.0.0.1:8080"}, says: "the target must be an address such as"},
		{name: "no key", other: map[string]string{"FLASHGATE_LOADTEST_KEY": ""}, says: "set FLASHGATE_LOADTEST_KEY"},
		{name: "a wrong key", other: map[string]string{"FLASHGATE_LOADTEST_KEY": "the-kay"}, says: "for this load-test key"},
		{name: "a gateway without a key", shop: shop{noKey: true}, says: "for this load-test key"},
		{name: "an unknown sale", shop: shop{sale: "two"}, says: "there is no sale one"},
		{name: "an unknown sale over TLS", shop: shop{sale: "two", tls: true}, says: "there is no sale one"},
		{name: "a sale to come", shop: shop{phase: "upcoming"}, says: "sale one has not started"},
		{name: "a sale that is over or closed", shop: shop{phase: "ended"}, says: "sale one has ended or was closed"},
		{name: "a site that is no shop", shop: shop{phase: "?"}, says: "does not say whether sale one is open"},
		{name: "no file of users", other: map[string]string{"USERS_CSV": "none.csv"}, says: "there is no file of users"},
		{name: "an empty file", other: map[string]string{"USERS_CSV": usersFile(t, "")}, says: "has not the first line mobile,user,token"},
		{name: "no first line", other: map[string]string{"USERS_CSV": usersFile(t, fiveUsers[18:])}, says: "has not the first line mobile,user,token"},
		{name: "no users", other: map[string]string{"USERS_CSV": usersFile(t, fiveUsers[:18])}, says: "has no users"},
		{name: "too few users", other: map[string]string{"USERS": "6"}, says: "has 5 users, and 6 are to come"},
		{name: "users of another site", shop: shop{out: true}, says: "does not know the first session"},
		{name: "users without a sale", other: map[string]string{"SALE": ""}, says: "say in which sale they buy, with SALE"},
		{name: "users of nowhere", other: map[string]string{"TARGET": ""}, says: "say which, with TARGET"},
		{name: "no database", other: map[string]string{"FLASHGATE_DATA": ""}, says: "set FLASHGATE_DATA, or MYSQL_DSN"},
		{name: "no database there", other: map[string]string{"FLASHGATE_DATA": "none"}, says: "has no flashgate.db: FLASHGATE_DATA is not the site's"},
		{name: "a sale of another database", other: map[string]string{"FLASHGATE_DATA": saleFolder(t, "two")}, says: "there is no sale one in the database"},
		{name: "a sale that the shop does not show as closed", other: map[string]string{"FLASHGATE_DATA": closedSale(t)}, says: "sale one has ended or was closed"},
		{name: "a closed gate", other: map[string]string{"FLASHGATE_DATA": closedGate(t)}, says: "the gate of sale one is closed"},
		{name: "half of the real servers", other: map[string]string{"MYSQL_DSN": "x"}, says: "set REDIS_URL beside MYSQL_DSN"},
		{name: "real servers without the queue", other: map[string]string{"MYSQL_DSN": "x", "REDIS_URL": "redis://x", "USERS_CSV": "", "SALE": ""}, says: "set AMQP_URL beside MYSQL_DSN"},
		{name: "a password in the address", other: map[string]string{"TARGET": "http://ann:secret@127.0.0.1:1"}, says: "the target must be an address such as"},
		{name: "a path in the address", other: map[string]string{"TARGET": "http://127.0.0.1:1/shop"}, says: "the target must be an address such as"},
		{name: "a site that sends elsewhere", shop: shop{moved: true}, says: "sends to http://elsewhere.invalid/: name that one"},
		{name: "a site that does not say who is logged in", shop: shop{noMe: true}, says: "answers 404 when asked whose the first session"},
		{name: "neither yes nor no", other: map[string]string{"REPORT": "true"}, says: `REPORT is "true"; write yes or no`},
		{name: "no number", other: map[string]string{"USERS": "many"}, says: `USERS is "many"`},
		{name: "no seconds", other: map[string]string{"DURATION": "1h"}, says: `DURATION is "1h"`},
		{name: "no value", args: []string{"-Jusers", "flash-sale"}, says: `"-Jusers" must be -Jname=value`},
		{name: "no JMeter", other: map[string]string{"JMETER": "/none/jmeter"}, says: `no JMeter "/none/jmeter"`},
		{name: "no Java", other: map[string]string{"JMETER": "", "PATH": "/none"}, says: "there is no java: install"},
		{name: "no Go", other: map[string]string{"GO": "/none/go"}, says: "Go is needed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			env := []string{"JMETER=" + fake(t, `touch "$results"; echo JMeter was started >&2`), "TARGET=" + newShop(t, c.shop)}
			for name, v := range good {
				env = append(env, name+"="+v)
			}
			for name, v := range c.other {
				env = append(env, name+"="+v) // of a name that is given twice, the last one holds
			}
			args := c.args
			if args == nil {
				args = []string{"flash-sale"}
			}
			r := load(t, append([]string{"run"}, args...), env...)
			if strings.Contains(r.log, "secret") {
				t.Errorf("it says %s", r.log)
			}
			if r.exit != 2 || !strings.Contains(r.log, c.says) || strings.Count(r.log, "\n") != 1 || r.out != "" {
				t.Errorf("exit %d, want 2 and one line with %q, got\n%s%s", r.exit, c.says, r.log, r.out)
			}
		})
	}
}

// A site that asks for no captcha needs no key: the plan is told so, and JMeter starts.
func TestAKeyIsForCaptchas(t *testing.T) {
	t.Parallel()
	for captcha, exit := range map[string]int{"true": 2, "false": 1} {
		t.Run(captcha, func(t *testing.T) {
			t.Parallel()
			r := load(t, []string{"run", "-wait", "0s", "-Jcaptcha=" + captcha, "seckill-classic"}, "JMETER="+fake(t, nobodyCame), "TARGET="+newShop(t, shop{noKey: true}),
				"USERS=5", "SALE=one", "USERS_CSV="+usersFile(t, fiveUsers), "FLASHGATE_DATA="+saleFolder(t, "one"), "REPORT=no")
			if r.exit != exit || strings.Contains(r.log, "set FLASHGATE_LOADTEST_KEY") != (captcha == "true") {
				t.Errorf("exit %d, want %d in\n%s%s", r.exit, exit, r.log, r.out)
			}
		})
	}
}

// Who runs a plan by hand has no preflight: the plan looks at its settings itself.
// What is given by -J reaches the plan alone.
func testThePlanLooksAtItsSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		shop shop
		set  string
		says string
	}{
		{name: "no host", set: "-Jport=1", says: "http://127.0.0.1:1 does not answer"},
		{name: "a wrong key", set: "-Jkey=wrong", says: "for this load-test key"},
		{name: "an unknown sale", shop: shop{sale: "one"}, set: "-Jsale=two", says: "there is no sale two"},
		{name: "an unknown sale over TLS", shop: shop{sale: "one", tls: true}, set: "-Jsale=two", says: "there is no sale two"},
		{name: "no file of users", set: "-Jdata=/none.csv", says: "there is no file of users /none.csv"},
		{name: "a word that is none", set: "-Jwatch=event", says: `-Jwatch is "event": it must be poll or events`},
		{name: "a number that is none", set: "-Jramp_up=5s", says: `-Jramp_up is "5s": it must be a whole number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := load(t, []string{"run", c.set, "flash-sale"}, quick, "TARGET="+newShop(t, c.shop), "USERS=5", "SALE=one", "REPORT=no",
				"USERS_CSV="+usersFile(t, fiveUsers), "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA="+saleFolder(t, "one"))
			if r.exit != 2 || !strings.Contains(r.says(), c.says) {
				t.Errorf("exit %d, want 2 and %q in\n%s%s", r.exit, c.says, r.log, r.out)
			}
			results := strings.Split(strings.TrimSpace(r.file(t, "flash-sale/results.jtl")), "\n")
			if len(results) != 2 || !strings.Contains(results[1], ",setup,") || !strings.Contains(r.file(t, "flash-sale/jmeter.log"), "flashgate: ") {
				t.Errorf("want one failed sample and a line in the log, got\n%s", strings.Join(results, "\n"))
			}
		})
	}
}
