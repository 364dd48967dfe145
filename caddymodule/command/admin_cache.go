package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/httpcache"
	"flashgate/internal/pagestore"
)

// purgePages gives up pages on all gateways. 503 means that it holds on this one, and on
// the others when what they share is back.
func purgePages(a *app.App, w http.ResponseWriter, r *http.Request) error {
	p, err := readBody[flashgate.Purge](r)
	if err != nil {
		return err
	}
	// As in the method PURGE: nobody would see that a page of that name is not there.
	if p.Kind == flashgate.PurgeURL && strings.HasSuffix(p.Value, "*") {
		p.Kind = flashgate.PurgePrefix
	}
	switch p.Kind {
	case flashgate.PurgeURL:
		p.Value, err = httpcache.ParseAddress(p.Value)
	case flashgate.PurgePrefix:
		p.Value, err = httpcache.ParsePrefix(strings.TrimSuffix(p.Value, "*"))
	}
	if err == nil {
		err = p.Validate()
	}
	if err != nil {
		return badRequest(err)
	}
	if err := a.Pages().Purge(r.Context(), p); err != nil {
		return done(w, fmt.Errorf("it holds on this gateway, and on the others when what they share is back: %w", err))
	}
	return done(w, nil)
}

// StoredPage is one page of GET /flashgate/cache/inspect.
type StoredPage struct {
	Key    string         `json:"key"`
	Bytes  int            `json:"bytes"`
	Tags   []string       `json:"tags,omitempty"`
	Ends   time.Time      `json:"ends"` // when it is forgotten for good
	Soft   bool           `json:"soft_purged,omitempty"`
	Shared bool           `json:"shared,omitempty"` // all gateways have it
	Answer map[string]any `json:"answer"`           // what it is: status, header, freshness; or what its variants differ by
}

func inspectPages(a *app.App, w http.ResponseWriter, r *http.Request) error {
	address, err := httpcache.ParseAddress(r.URL.Query().Get("url"))
	if err != nil {
		return badRequest(err)
	}
	found, err := a.Pages().Inspect(r.Context(), address)
	if err != nil {
		return done(w, err)
	}
	out := []StoredPage{}
	for _, f := range found {
		out = append(out, StoredPage{
			Key: f.Page.Key, Bytes: len(f.Page.Data), Tags: f.Page.Tags, Ends: f.Page.Ends,
			Soft: f.Soft, Shared: f.Shared, Answer: httpcache.Describe(f.Page),
		})
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(out)
}

// CacheStats is what GET /flashgate/cache/stats answers.
type CacheStats struct {
	Bytes      int64                          `json:"memory_bytes"`
	MaxBytes   int64                          `json:"memory_max_bytes"`
	Pages      int64                          `json:"memory_pages"`
	MemoryHits uint64                         `json:"found_in_memory"`
	SharedHits uint64                         `json:"found_shared"`
	Misses     uint64                         `json:"not_found"`
	Evictions  uint64                         `json:"evicted"`
	Sets       uint64                         `json:"stored"`
	Dropped    uint64                         `json:"not_shared"` // the queue was full, or the server away
	Shared     string                         `json:"shared"`     // none, in use or away
	Purges     map[flashgate.PurgeKind]uint64 `json:"purges"`
}

func statsOf(s pagestore.Stats) CacheStats {
	shared := "none"
	switch {
	case s.SharedSeen:
		shared = "in use"
	case s.Shared:
		shared = "away"
	}
	return CacheStats{
		Bytes: s.Bytes, MaxBytes: s.MaxBytes, Pages: s.Pages, MemoryHits: s.MemoryHits, SharedHits: s.SharedHits, Misses: s.Misses,
		Evictions: s.Evictions, Sets: s.Sets, Dropped: s.Dropped, Shared: shared, Purges: s.Purges,
	}
}

func cacheStatus(a *app.App, w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(statsOf(a.Pages().Stats()))
}
