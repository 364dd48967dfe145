package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// figures of a label in one run, as the verdict writes them.
type figures struct {
	Count  int            `json:"count"`
	Codes  map[string]int `json:"codes"`
	P50    float64        `json:"p50_ms"`
	P95    float64        `json:"p95_ms"`
	P99    float64        `json:"p99_ms"`
	PerSec float64        `json:"per_second"` // from its first request to its last answer
}

// readFigures reads those of all labels.
func readFigures(file string) (map[string]*figures, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var report struct {
		Labels map[string]*figures `json:"labels"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return report.Labels, nil
}
