package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The labels of purchases, as flash-sale.jmx has them.
const (
	labelBuy = "buy"

	// labelSetup is the sample that a plan leaves when its settings do not fit.
	labelSetup = "setup"
)

// labelsAfter are the samples after a purchase, which know how the order stands.
var labelsAfter = []string{"poll", "events", "pay", "cancel"}

// columns that the verdict needs. The second line of them is there only when JMeter
// ran with flashgate.properties; planColumns are wanted as well when a plan is judged.
var (
	columns = []string{
		"timeStamp", "elapsed", "label", "responseCode",
		"order", "user", "sale", "status",
	}
	planColumns = []string{"success", "outcome", "who"}
)

// results are a run as its buyers saw it; purchases are those of one sale.
type results struct {
	buyers    map[string]bool     // users who pressed
	purchases map[string]purchase // by order id
	labels    map[string]*label   // all samples, of whatever sale
	refusals  map[string]int      // of buy, by the site's code, or the HTTP status
	foreign   int                 // purchases of another sale
	odd       []string            // what no line may say

	honest, bots side
	strangers    map[string]int // lines that are neither's, by what they say
}

// purchase is what the buyer was told about one order id.
type purchase struct {
	user     string
	presses  int
	accepted int      // how often 202
	unknown  int      // how often 504, or no HTTP answer at all
	soldOut  bool     // refused at least once
	denied   []string // what no repeat may be answered once there was a 202
	status   string   // as it was last seen
}

// asked reports whether an order may exist.
func (p purchase) asked() bool { return p.accepted > 0 || p.unknown > 0 }

// samples counts all lines.
func (res *results) samples() (n int) {
	for _, l := range res.labels {
		n += l.count
	}
	return n
}

func readResults(file, sale string, planned bool) (*results, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	res, err := parseResults(f, sale, planned)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return res, nil
}

// parseResults reads a file with a header line. One without any line is a run
// without purchases, which is for judge to say.
func parseResults(r io.Reader, sale string, planned bool) (*results, error) {
	res := &results{buyers: map[string]bool{}, purchases: map[string]purchase{}, labels: map[string]*label{},
		refusals: map[string]int{}, strangers: map[string]int{}}
	in := csv.NewReader(r)
	in.ReuseRecord = true
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return res, nil
	}
	if err != nil {
		return nil, err
	}
	index := map[string]int{}
	for i, name := range head {
		index[name] = i
	}
	needed := slices.Clone(columns)
	if planned {
		needed = append(needed, planColumns...)
	}
	var missing []string
	for _, name := range needed {
		if _, ok := index[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the columns %s are missing: run JMeter with -q jmeter/flashgate.properties, and let it write CSV with a header line", strings.Join(missing, ", "))
	}
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		n, _ := in.FieldPos(0)
		get := func(name string) string {
			if i, ok := index[name]; ok {
				return rec[i]
			}
			return ""
		}
		if err := res.add(n, get, sale); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	for _, l := range res.labels {
		slices.Sort(l.took)
	}
	return res, nil
}

// add takes one line in.
func (res *results) add(line int, get func(string) string, sale string) error {
	name, code := strings.Clone(get("label")), strings.Clone(get("responseCode"))
	if name == labelSetup {
		return fmt.Errorf("the plan did not begin: %s", get("responseMessage"))
	}
	if !isCode(code) {
		code = noAnswer
	}
	at, took, err := times(get("timeStamp"), get("elapsed"))
	if err != nil {
		return err
	}
	l := res.labels[name]
	if l == nil {
		l = &label{codes: map[string]int{}}
		res.labels[name] = l
	}
	l.add(code, at, took)
	res.side(get("who"), get("success") == "true", code)
	// Whoever is told 202 has an order, whatever the sample is called.
	if name != labelBuy && !slices.Contains(labelsAfter, name) && code != "202" || sale == "" {
		return nil
	}
	if get("sale") != sale {
		res.foreign++
		return nil
	}
	return res.purchase(line, name, code, strings.Clone(get("order")), strings.Clone(get("user")), get("outcome"), strings.Clone(get("status")))
}

func (res *results) side(who string, success bool, code string) {
	switch who {
	case "", "honest":
		res.honest.count++
		if success {
			res.honest.success++
		}
	case "bot":
		res.bots.count++
		if code[0] == '2' {
			res.bots.success++
		}
	default:
		res.strangers[strings.Clone(who)]++
	}
}

// purchase notes what one press, or one look afterwards, was told.
func (res *results) purchase(line int, name, code, order, user, outcome, status string) error {
	if order == "" || user == "" {
		res.odd = append(res.odd, fmt.Sprintf("line %d, %s, names no order or no user", line, name))
		return nil
	}
	p, known := res.purchases[order]
	if known && p.user != user {
		res.odd = append(res.odd, fmt.Sprintf("line %d: order %s is of user %s, before it was of %s", line, order, user, p.user))
	}
	p.user = user
	if slices.Contains(labelsAfter, name) {
		p.status = status
		res.purchases[order] = p
		return nil
	}
	p.presses++
	if p.accepted > 0 && !mayFollow(code, outcome) {
		p.denied = append(p.denied, strings.TrimSpace(code+" "+outcome))
	}
	switch code {
	case "202":
		p.accepted++
	case "504", noAnswer:
		p.unknown++
	case "409":
		p.soldOut = true
	}
	if code != "202" && code != noAnswer {
		if outcome == "" || outcome == "accepted" {
			outcome = code
		}
		res.refusals[strings.Clone(outcome)]++
	}
	res.purchases[order] = p
	res.buyers[user] = true
	return nil
}

// mayFollow reports whether a repeat may be answered so after a 202: the same, or that
// the sale is sold out or over or the path has run out, which is found before the order's
// id is looked at, or that something was away. A gate that knows the id says neither that
// its owner has bought already nor that something is wrong with the request.
func mayFollow(code, outcome string) bool {
	switch code {
	case "409":
		return outcome != "already_bought"
	case "202", "404", "410", "429", "502", "503", "504", noAnswer:
		return true
	}
	return false
}

// times reads when a sample began and how long it took.
func times(stamp, elapsed string) (at time.Time, took time.Duration, err error) {
	ms, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return at, 0, fmt.Errorf("timeStamp is %q; it must be Unix milliseconds", stamp)
	}
	n, err := strconv.ParseInt(elapsed, 10, 64)
	if err != nil {
		return at, 0, fmt.Errorf("elapsed is %q; it must be milliseconds", elapsed)
	}
	return time.UnixMilli(ms), time.Duration(n) * time.Millisecond, nil
}
