package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// figures of a label in one run.
type figures struct {
	Count  int            `json:"count"`
	Codes  map[string]int `json:"codes"`
	PerSec float64        `json:"per_second"` // over the time from its first request to its last answer
	P50    float64        `json:"p50_ms"`
	P95    float64        `json:"p95_ms"`
	P99    float64        `json:"p99_ms"`
}

// labelSetup is the sample that a plan leaves when its settings do not fit.
const labelSetup = "setup"

// errSetup says why a plan did not begin.
type errSetup struct{ reason string }

func (e errSetup) Error() string { return e.reason }

// readFigures sums up a results file by label.
func readFigures(file string) (map[string]*figures, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := csv.NewReader(f)
	in.ReuseRecord = true
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return map[string]*figures{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	column := map[string]int{"responseMessage": -1}
	for i, name := range head {
		column[name] = i
	}
	for _, name := range []string{"timeStamp", "elapsed", "label", "responseCode"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("%s has no column %s: JMeter must run with -q jmeter/flashgate.properties", file, name)
		}
	}
	spans := map[string]*span{}
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		label := rec[column["label"]]
		if label == labelSetup && column["responseMessage"] >= 0 {
			return nil, errSetup{strings.Clone(rec[column["responseMessage"]])}
		}
		begin, err := strconv.ParseInt(rec[column["timeStamp"]], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: timeStamp: %w", file, err)
		}
		took, err := strconv.ParseInt(rec[column["elapsed"]], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: elapsed: %w", file, err)
		}
		s, ok := spans[label]
		if !ok {
			s = &span{first: math.MaxInt64, codes: map[string]int{}}
			spans[strings.Clone(label)] = s
		}
		s.first, s.last = min(s.first, begin), max(s.last, begin+took)
		s.took = append(s.took, took)
		code := rec[column["responseCode"]]
		if n, err := strconv.Atoi(code); err != nil || n < 100 || n > 999 {
			code = "no answer"
		}
		s.codes[strings.Clone(code)]++
	}
	out := map[string]*figures{}
	for label, s := range spans {
		out[label] = s.figures()
	}
	return out, nil
}

// span is what a label's lines say.
type span struct {
	first, last int64 // Unix milliseconds
	took        []int64
	codes       map[string]int
}

func (s *span) figures() *figures {
	slices.Sort(s.took)
	// By the nearest rank, as the verdict has it.
	percentile := func(p int) float64 { return float64(s.took[(len(s.took)*p+99)/100-1]) }
	return &figures{
		Count: len(s.took), Codes: s.codes, P50: percentile(50), P95: percentile(95), P99: percentile(99),
		// One millisecond is the clock's step.
		PerSec: math.Round(float64(len(s.took))*1e6/float64(max(s.last-s.first, 1))) / 1000,
	}
}
