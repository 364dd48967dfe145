package main

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
)

// summary hands on what JMeter says and keeps the number of samples in the last of its
// lines "summary = 120 in 00:00:04". JMeter does not notice a disk that is full, and ends
// well without half of the results.
type summary struct {
	to      io.Writer
	samples int // -1 without such a line
	line    []byte
}

var summaryLine = regexp.MustCompile(`^\S+ =\s+(\d+) in `)

func newSummary(to io.Writer) *summary { return &summary{to: to, samples: -1} }

func (s *summary) Write(p []byte) (int, error) {
	s.line = append(s.line, p...)
	for {
		line, rest, whole := bytes.Cut(s.line, []byte("\n"))
		if !whole {
			break
		}
		if m := summaryLine.FindSubmatch(line); m != nil {
			if n, err := strconv.Atoi(string(m[1])); err == nil {
				s.samples = n
			}
		}
		s.line = rest
	}
	return s.to.Write(p)
}
