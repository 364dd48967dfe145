package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"flashgate/internal/keyfile"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(&App{})
}

// DefaultDataDir is where the embedded files are unless data_dir says otherwise.
const DefaultDataDir = "./data"

// App holds what the flashgate directives share. Left out, it has all its
// defaults: state in memory, sessions, stock and queue in one SQLite file.
//
// In a Caddyfile the lines `redis <url>` and `rabbitmq <url>` stand for the backends
// redis of stock and state, and rabbitmq of the queue. They come together: what is
// reserved in Redis travels to the order worker through RabbitMQ. A gateway on Redis
// needs `keys`, the same ones on every gateway.
type App struct {
	// Folder of the embedded files, made when it is first needed. A relative path
	// counts from the working directory. Default: ./data. Placeholders are
	// replaced.
	DataDir string `json:"data_dir,omitempty"`

	// Signing keys of path tokens and order ids, newest first, separated by commas
	// or white space; each as `caddy flashgate sign key` prints it. Write
	// {env.FLASHGATE_KEYS}: a key in the configuration itself lands in the autosave.
	// Default, also when it is empty: the file `keys` in the data folder, made once
	// with mode 0600. With the stock on Redis there is no default.
	Keys string `json:"keys,omitempty"`

	// The backend of stock and sessions: sqlite or redis.
	// Default: {"backend": "sqlite"}.
	StockRaw json.RawMessage `json:"stock,omitempty" caddy:"namespace=flashgate.stock inline_key=backend"`

	// The backend of limits, captchas, one-time values and cached pages: memory or
	// redis. Default: {"backend": "memory"}.
	StateRaw json.RawMessage `json:"state,omitempty" caddy:"namespace=flashgate.state inline_key=backend"`

	// The most bytes that cached pages take in this process; the least useful go first.
	// Between 1 MiB and 1 TiB. Default: 64 MiB.
	PageMemory int64 `json:"page_memory,omitempty"`

	// The order queue of a stock that does not enqueue by itself: rabbitmq. Default:
	// absent, as the SQLite stock enqueues in the transaction that reserves.
	QueueRaw json.RawMessage `json:"queue,omitempty" caddy:"namespace=flashgate.queue inline_key=backend"`

	dataDir   string
	logger    *zap.Logger
	stock     *shared[StockBackend]
	queue     *shared[QueueBackend] // nil without a queue
	state     *shared[StateBackend]
	pages     *shared[PagesBackend]
	pageCache Pages // what pages has open

	mu     sync.Mutex
	keys   atomic.Pointer[keyfile.Source]
	starts []func()

	stepUpMu sync.RWMutex
	stepUps  []StepUp

	marks    marks
	limitsMu sync.Mutex
	limits   []NamedLimit
}

// Get loads the app of a configuration, with its defaults when the configuration
// has none. Directives call it in Provision.
func Get(ctx caddy.Context) (*App, error) {
	a, err := ctx.App("flashgate")
	if err != nil {
		return nil, err
	}
	return a.(*App), nil
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate", New: func() caddy.Module { return new(App) }}
}

// Provision checks the settings and attaches to the state that an earlier
// configuration left in memory. It dials nobody, and of files it reads the keys' alone.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	repl := caddy.NewReplacer()
	if err := a.provisionFolder(repl); err != nil {
		return err
	}
	if keys := strings.TrimSpace(repl.ReplaceAll(a.Keys, "")); keys != "" {
		source, err := openKeys(keys, a.keysChanged)
		if err != nil {
			return err
		}
		a.keys.Store(source)
	}
	return a.provisionBackends(ctx)
}

func (a *App) provisionFolder(repl *caddy.Replacer) error {
	dir := a.DataDir
	if dir == "" {
		dir = DefaultDataDir
	}
	dir = repl.ReplaceAll(dir, "")
	if dir == "" {
		return errors.New("data_dir is empty: name a folder, or leave the line out for " + DefaultDataDir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	a.dataDir = abs
	return nil
}

// Start makes this app the live one. It never fails.
func (a *App) Start() error {
	// What the previous configuration has open stays open.
	keep(a.logger, a.stock)
	keep(a.logger, a.queue)
	if err := a.pageCache.Resize(a.PageMemory); err != nil {
		a.logger.Error("page_memory stays as it was", zap.Error(err)) // New has checked it
	}
	live.push(a)
	a.runStarts()
	return nil
}

func keep[T caddy.Destructor](logger *zap.Logger, s *shared[T]) {
	if s == nil || !s.inUse() {
		return
	}
	if err := s.get(); err != nil {
		logger.Warn("a backend did not open; it is tried again with the next request", zap.String("module", s.module), zap.Error(err))
	}
}

// Stop ends this app's time as the live one. Its backends stay open until Cleanup,
// as requests may still run.
func (a *App) Stop() error {
	live.drop(a)
	return nil
}

// Cleanup gives back what was acquired. Requests that are still running keep
// working: a backend is closed when the last call in it has ended.
func (a *App) Cleanup() error {
	live.drop(a)
	return errors.Join(a.stock.release(), a.queue.release(), a.pages.release(), a.state.release())
}

// Folder is the absolute path of the data folder.
func (a *App) Folder() string { return a.dataDir }

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
