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

// columns that the verdict needs. The second line of them is there only when JMeter
// ran with flashgate.properties.
var columns = []string{
	"timeStamp", "elapsed", "label", "responseCode",
	"order", "user", "sale", "status",
}

// results are a run as its buyers saw it, of one sale.
type results struct {
	buyers    map[string]bool     // users who pressed
	purchases map[string]purchase // by order id
	answers   map[string]map[string]int
	latency   []time.Duration // of the answers to buy, sorted
	first     time.Time       // of buy
	last      time.Time       // when the last answer to buy had come
	foreign   int             // lines of another sale
	odd       []string        // what no line may say
}

// purchase is what the buyer was told about one order id.
type purchase struct {
	user     string
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
	res := &results{buyers: map[string]bool{}, purchases: map[string]purchase{}, answers: map[string]map[string]int{}}
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
		if err := res.add(line, func(name string) string { return rec[index[name]] }, sale); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	slices.Sort(res.latency)
	return res, nil
}

// add takes one line in.
func (res *results) add(line int, get func(string) string, sale string) error {
	if get("sale") != sale {
		res.foreign++
		return nil
	}
	label, code := strings.Clone(get("label")), strings.Clone(get("responseCode"))
	if n, err := strconv.Atoi(code); err != nil || n < 100 || n > 999 {
		code = "no answer"
	}
	if res.answers[label] == nil {
		res.answers[label] = map[string]int{}
	}
	res.answers[label][code]++
	if label != labelBuy && label != labelPoll {
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
	switch code {
	case "202":
		p.accepted++
	case "504", "no answer":
		p.unknown++
	case "409":
		p.soldOut = true
	}
	res.purchases[order] = p
	res.buyers[user] = true
	return res.time(get("timeStamp"), get("elapsed"))
}

// time notes when an answer to buy came and how long it took.
func (res *results) time(stamp, elapsed string) error {
	ms, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("timeStamp is %q; it must be Unix milliseconds", stamp)
	}
	took, err := strconv.ParseInt(elapsed, 10, 64)
	if err != nil {
		return fmt.Errorf("elapsed is %q; it must be milliseconds", elapsed)
	}
	d := time.Duration(took) * time.Millisecond
	res.latency = append(res.latency, d)
	at := time.UnixMilli(ms)
	if res.first.IsZero() || at.Before(res.first) {
		res.first = at
	}
	if end := at.Add(d); end.After(res.last) {
		res.last = end
	}
	return nil
}

// percentile of the answers to buy, by the nearest rank.
func (res *results) percentile(p int) time.Duration {
	if len(res.latency) == 0 {
		return 0
	}
	return res.latency[(len(res.latency)*p+99)/100-1]
}
