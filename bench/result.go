package main

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"flashgate/internal/machine"
)

// result is what -out writes. README.md documents it; a change of what a field means
// raises Schema.
type result struct {
	Schema   int               `json:"schema"`
	Started  time.Time         `json:"started"`
	Machine  map[string]string `json:"machine"`
	Versions map[string]string `json:"versions"`
	Settings settings          `json:"settings"`
	Groups   []groupResult     `json:"groups"`
	Memory   keyMemory         `json:"memory"`
	Goals    []goal            `json:"goals"`
}

type groupResult struct {
	Name  string      `json:"name"`
	Title string      `json:"title"`
	Rows  []rowResult `json:"rows"`
}

type rowResult struct {
	Name     string `json:"name"`
	Server   string `json:"server"`
	Status   int    `json:"status"` // of every answer
	Baseline string `json:"baseline,omitempty"`

	PerSecond     spread   `json:"per_second"`
	Ratio         spread   `json:"ratio"`                    // of per_second to the group's first row, in the same round
	BaselineRatio *spread  `json:"baseline_ratio,omitempty"` // to the row called baseline
	CPURatio      spread   `json:"cpu_ratio"`                // of the server's CPU per request to the first row's
	ServerCPU     float64  `json:"server_cpu_us"`            // medians, per request
	RedisCPU      float64  `json:"redis_cpu_us"`
	QueueCPU      float64  `json:"queue_cpu_us"`
	DatabaseCPU   float64  `json:"database_cpu_us"`
	WorkerCPU     float64  `json:"worker_cpu_us"`
	LoadCPU       float64  `json:"load_cpu_us"`
	RedisCommands float64  `json:"redis_commands"`
	P50           float64  `json:"p50_us"`
	P99           float64  `json:"p99_us"`
	Samples       []sample `json:"samples"`
}

// sample is one row in one round.
type sample struct {
	Round         int     `json:"round"`
	Requests      int64   `json:"requests"`
	Seconds       float64 `json:"seconds"`
	PerSecond     float64 `json:"per_second"`
	P50           int64   `json:"p50_us"`
	P99           int64   `json:"p99_us"`
	ServerCPU     float64 `json:"server_cpu_us"` // per request, user and system
	RedisCPU      float64 `json:"redis_cpu_us"`
	QueueCPU      float64 `json:"queue_cpu_us"`
	DatabaseCPU   float64 `json:"database_cpu_us"`
	WorkerCPU     float64 `json:"worker_cpu_us"`
	LoadCPU       float64 `json:"load_cpu_us"`
	Drain         float64 `json:"drain_s,omitempty"` // after the last answer, until the last order is in the database
	RedisCommands float64 `json:"redis_commands"`    // per request, those in scripts counted too
}

// spread is the median of all rounds, the least and the most.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return spread{Median: (s[(n-1)/2] + s[n/2]) / 2, Min: s[0], Max: s[n-1]}
}

func newGroupResult(g group) groupResult {
	r := groupResult{Name: g.name, Title: g.title}
	for _, row := range g.rows {
		r.Rows = append(r.Rows, rowResult{Name: row.name, Server: row.server, Status: row.statusIn(g), Baseline: row.baseline})
	}
	return r
}

// row finds a row; nil when it was not measured.
func (g *groupResult) row(name string) *rowResult {
	i := slices.IndexFunc(g.Rows, func(r rowResult) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &g.Rows[i]
}

func perSecond(s sample) float64 { return s.PerSecond }
func serverCPU(s sample) float64 { return s.ServerCPU }

// of collects one figure of every round.
func (r *rowResult) of(figure func(sample) float64) []float64 {
	values := make([]float64, 0, len(r.Samples))
	for _, s := range r.Samples {
		values = append(values, figure(s))
	}
	return values
}

// against compares two rows round by round: only what was measured one after the other
// met the same machine.
func (r *rowResult) against(base *rowResult, figure func(sample) float64) spread {
	a, b := r.of(figure), base.of(figure)
	ratios := make([]float64, 0, len(a))
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return spreadOf(ratios)
}

// sum fills in what follows from the samples.
func (g *groupResult) sum() {
	for i := range g.Rows {
		r := &g.Rows[i]
		median := func(figure func(sample) float64) float64 { return spreadOf(r.of(figure)).Median }
		r.PerSecond = spreadOf(r.of(perSecond))
		r.Ratio = r.against(&g.Rows[0], perSecond)
		r.CPURatio = r.against(&g.Rows[0], serverCPU)
		if base := g.row(r.Baseline); base != nil {
			ratio := r.against(base, perSecond)
			r.BaselineRatio = &ratio
		}
		r.ServerCPU = median(serverCPU)
		r.RedisCPU = median(func(s sample) float64 { return s.RedisCPU })
		r.QueueCPU = median(func(s sample) float64 { return s.QueueCPU })
		r.DatabaseCPU = median(func(s sample) float64 { return s.DatabaseCPU })
		r.WorkerCPU = median(func(s sample) float64 { return s.WorkerCPU })
		r.LoadCPU = median(func(s sample) float64 { return s.LoadCPU })
		r.RedisCommands = median(func(s sample) float64 { return s.RedisCommands })
		r.P50 = median(func(s sample) float64 { return float64(s.P50) })
		r.P99 = median(func(s sample) float64 { return float64(s.P99) })
	}
}

func newResult(s settings, b *bench) *result {
	return &result{
		Schema: 2, Started: time.Now().UTC().Truncate(time.Second), Settings: s,
		Machine:  map[string]string{"cores": sharedCores(), "cpu": machine.CPU(), "system": runtime.GOOS + "/" + runtime.GOARCH},
		Versions: versions(b),
	}
}

// versions are those of the programs, as they say themselves.
func versions(b *bench) map[string]string {
	v := map[string]string{"go": runtime.Version()}
	if info, err := buildinfo.ReadFile(b.caddy); err == nil {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/caddyserver/caddy/v2":
				v["caddy"] = d.Version
			case "github.com/mholt/caddy-ratelimit":
				v["caddy-ratelimit"] = d.Version
			case "github.com/caddyserver/cache-handler":
				v["cache-handler"] = d.Version
			}
		}
	}
	for name, args := range map[string][]string{"nginx": {b.nginx, "-v"}, "wrk": {b.wrk, "-v"}, "redis": {"redis-server", "--version"}} {
		out, _ := exec.Command(args[0], args[1:]...).CombinedOutput() // wrk -v exits with 1
		line, _, _ := strings.Cut(string(out), "\n")
		v[name] = strings.TrimSpace(line)
	}
	return v
}

func (r *result) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
