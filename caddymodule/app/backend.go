package app

import (
	"path/filepath"

	"flashgate"
	"flashgate/internal/memory"
	"flashgate/internal/sqlite"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(&SQLite{})
	caddy.RegisterModule(&Memory{})
}

// StockBackend is an open backend of stock and sessions. One that is a
// flashgate.FreedWatcher too is not asked for each buyer when a sale is sold out.
type StockBackend interface {
	flashgate.Stock
	flashgate.SessionStore
	flashgate.Checker
	caddy.Destructor
}

// StockModule is a guest module in the namespace flashgate.stock.
type StockModule interface {
	caddy.Module
	// StockKey names what OpenStock opens: configurations with the same key share
	// it within the process.
	StockKey(dataDir string) string
	// OpenStock opens the backend. It is called when a request needs it, and again
	// after an error.
	OpenStock(dataDir string) (StockBackend, error)
}

// QueueBackend is an open order queue.
type QueueBackend interface {
	flashgate.Publisher
	flashgate.Checker
	caddy.Destructor
}

// QueueModule is a guest module in the namespace flashgate.queue, for a stock that
// answers OutcomePublish.
type QueueModule interface {
	caddy.Module
	QueueKey(dataDir string) string                 // as StockKey
	OpenQueue(dataDir string) (QueueBackend, error) // as OpenStock
}

// StateBackend is a backend of short-lived state.
type StateBackend interface {
	flashgate.Limiter
	flashgate.Marks
	flashgate.OneTime
	caddy.Destructor
}

// StateModule is a guest module in the namespace flashgate.state.
type StateModule interface {
	caddy.Module
	StateKey(dataDir string) string // as StockKey
	// OpenState makes the state. It is called while provisioning, so it must not
	// need a server or a file; one that has a server behind it dials later.
	OpenState() (StateBackend, error)
	// OpenPages makes the cache of pages, of which maxBytes are in memory. As OpenState it
	// must not need a server.
	OpenPages(maxBytes int64, failed func(what string, err error)) (PagesBackend, error)
}

// SQLite keeps stock, sessions and the queue in one file, flashgate.db in the data
// folder. It is the default stock and has no settings.
type SQLite struct{}

// CaddyModule returns the Caddy module information.
func (*SQLite) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.stock.sqlite", New: func() caddy.Module { return new(SQLite) }}
}

// StockKey is the file's path.
func (*SQLite) StockKey(dataDir string) string { return filepath.Join(dataDir, "flashgate.db") }

// OpenStock opens the file and makes it when it is not there.
func (s *SQLite) OpenStock(dataDir string) (StockBackend, error) {
	store, err := sqlite.Open(s.StockKey(dataDir))
	if err != nil {
		return nil, err
	}
	return sqliteStock{store}, nil
}

type sqliteStock struct{ *sqlite.Store }

func (s sqliteStock) Destruct() error { return s.Close() }

// Memory keeps short-lived state in the process, bounded by bytes. It is the
// default state; a reload keeps what it holds, a restart does not.
type Memory struct {
	// The most bytes that it holds; the least recently used goes first. Between
	// 1 MiB and 1 TiB. Default: 64 MiB. After a reload the value of the first
	// configuration with this data folder stays in force until a restart.
	MaxBytes int64 `json:"max_bytes,omitempty"`
}

const (
	defaultMaxBytes = 64 << 20
	minMaxBytes     = 1 << 20
	maxMaxBytes     = 1 << 40
)

// CaddyModule returns the Caddy module information.
func (*Memory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.state.memory", New: func() caddy.Module { return new(Memory) }}
}

// Validate checks the range.
func (m *Memory) Validate() error {
	if m.MaxBytes != 0 && (m.MaxBytes < minMaxBytes || m.MaxBytes > maxMaxBytes) {
		return flashgate.Invalid("flashgate.state.memory", "max_bytes", "must be between 1 MiB and 1 TiB")
	}
	return nil
}

// StateKey is the data folder.
func (*Memory) StateKey(dataDir string) string { return dataDir }

// OpenState makes an empty store.
func (m *Memory) OpenState() (StateBackend, error) {
	size := m.MaxBytes
	if size == 0 {
		size = defaultMaxBytes
	}
	store, err := memory.New(memory.Config{MaxBytes: size})
	if err != nil {
		return nil, err
	}
	return memoryState{store}, nil
}

type memoryState struct{ *memory.Store }

func (s memoryState) Destruct() error { return s.Close() }

// Interface guards.
var (
	_ StockModule     = (*SQLite)(nil)
	_ StateModule     = (*Memory)(nil)
	_ caddy.Validator = (*Memory)(nil)

	_ flashgate.FreedWatcher = sqliteStock{}
)
