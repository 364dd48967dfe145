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

// The labels of flash-sale.jmx.
const (
	labelBuy  = "buy"
	labelPoll = "poll"
)

// labelSetup is the sample that a plan leaves when its settings do not fit.
const labelSetup = "setup"

// columns that the verdict needs. The second line of them is there only when JMeter
// ran with flashgate.properties. Others are read when they are there: success, outcome,
// who and responseMessage.
var columns = []string{
	"timeStamp", "elapsed", "label", "responseCode",
	"order", "user", "sale", "status",
}

// results are a run as its users saw it; purchases are of one sale.
type results struct {
	labels    map[string]*series
	crowd     map[string]*crowd   // honest and bot
	buyers    map[string]bool     // users who pressed
	purchases map[string]purchase // by order id
	refusals  map[string]int      // of pressing, by code and outcome
	foreign   int                 // lines of another sale
	odd       []string            // what no line may say
}

// series is how the samples of a label were answered.
type series struct {
	codes       map[string]int
	took        []time.Duration // sorted
	first, last time.Time       // of the first request, and when the last answer had come
}

// crowd is how users of a kind fared.
type crowd struct {
	Requests int `json:"requests"`
	Wanted   int `json:"wanted"` // answered as the plan wants it: JMeter's success
	Passed   int `json:"passed"` // answered 2xx
	Orders   int `json:"orders"` // answered 202
}

const (
	honest = "honest"
	bot    = "bot"
)

// errSetup says why a plan has not begun.
type errSetup struct{ reason string }

func (e errSetup) Error() string { return "the plan did not begin: " + e.reason }

// purchase is what the buyer was told about one order id.
type purchase struct {
	user     string
	pressed  int    // how often
	accepted int    // how often 202
	unknown  int    // how often 504, or no HTTP answer at all
	soldOut  bool   // refused at least once
	status   string // what the last poll saw
}

// asked reports whether an order may exist.
func (p purchase) asked() bool { return p.accepted > 0 || p.unknown > 0 }

func readResults(file, sale string) (*results, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	res, err := parseResults(f, sale)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return res, nil
}

// parseResults reads a file with a header line. One without any line is a run
// without purchases, which is for judge to say.
func parseResults(r io.Reader, sale string) (*results, error) {
	res := &results{
		labels: map[string]*series{}, crowd: map[string]*crowd{honest: {}, bot: {}},
		buyers: map[string]bool{}, purchases: map[string]purchase{}, refusals: map[string]int{},
	}
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
	var missing []string
	for _, name := range columns {
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
		line, _ := in.FieldPos(0)
		get := func(name string) string {
			if i, ok := index[name]; ok {
				return rec[i]
			}
			return ""
		}
		if err := res.add(line, get, sale); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	for _, l := range res.labels {
		slices.Sort(l.took)
	}
	return res, nil
}

// add takes one line in.
func (res *results) add(line int, get func(string) string, sale string) error {
	label, code := strings.Clone(get("label")), strings.Clone(get("responseCode"))
	if label == labelSetup {
		return errSetup{strings.Clone(get("responseMessage"))}
	}
	if n, err := strconv.Atoi(code); err != nil || n < 100 || n > 999 {
		code = "no answer"
	}
	if err := res.count(label, code, get); err != nil {
		return err
	}
	if sale == "" {
		return nil
	}
	if get("sale") != sale {
		res.foreign++
		return nil
	}
	// Whoever is told 202 has an order, whatever the sample is called.
	if label != labelBuy && label != labelPoll && code != "202" {
		return nil
	}
	order, user := strings.Clone(get("order")), strings.Clone(get("user"))
	if order == "" || user == "" {
		res.odd = append(res.odd, fmt.Sprintf("line %d, %s, names no order or no user", line, label))
		return nil
	}
	p, known := res.purchases[order]
	if known && p.user != user {
		res.odd = append(res.odd, fmt.Sprintf("line %d: order %s is of user %s, before it was of %s", line, order, user, p.user))
	}
	p.user = user
	if label == labelPoll {
		p.status = strings.Clone(get("status"))
		res.purchases[order] = p
		return nil
	}
	p.pressed++
	switch code {
	case "202":
		p.accepted++
	case "504", "no answer":
		p.unknown++
	case "409":
		p.soldOut = true
	}
	if code != "202" {
		res.refusals[strings.TrimSpace(code+" "+get("outcome"))]++
	}
	res.purchases[order] = p
	res.buyers[user] = true
	return nil
}

// count notes how a sample was answered, when and how fast.
func (res *results) count(label, code string, get func(string) string) error {
	ms, err := strconv.ParseInt(get("timeStamp"), 10, 64)
	if err != nil {
		return fmt.Errorf("timeStamp is %q; it must be Unix milliseconds", get("timeStamp"))
	}
	took, err := strconv.ParseInt(get("elapsed"), 10, 64)
	if err != nil {
		return fmt.Errorf("elapsed is %q; it must be milliseconds", get("elapsed"))
	}
	l := res.labels[label]
	if l == nil {
		l = &series{codes: map[string]int{}, first: time.UnixMilli(ms)}
		res.labels[label] = l
	}
	l.codes[code]++
	d := time.Duration(took) * time.Millisecond
	l.took = append(l.took, d)
	at := time.UnixMilli(ms)
	if at.Before(l.first) {
		l.first = at
	}
	if end := at.Add(d); end.After(l.last) {
		l.last = end
	}
	who := get("who")
	if who == "" {
		who = honest
	}
	c := res.crowd[who]
	if c == nil {
		return fmt.Errorf("who is %q; it must be honest, bot or empty", who)
	}
	c.Requests++
	if get("success") == "true" {
		c.Wanted++
	}
	if code[0] == '2' {
		c.Passed++
	}
	if code == "202" {
		c.Orders++
	}
	return nil
}

// percentile by the nearest rank; zero without any answer.
func (l *series) percentile(p int) time.Duration {
	if l == nil || len(l.took) == 0 {
		return 0
	}
	return l.took[(len(l.took)*p+99)/100-1]
}
