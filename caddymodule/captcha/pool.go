package captcha

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"flashgate/internal/challenge"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// Pool says how many challenges are drawn ahead, so that the opening second of a sale
// draws nothing.
type Pool struct {
	// Memory for challenges drawn ahead: 1 MiB to 1 GiB. A picture takes about 4 kB, a
	// quarter is for sounds of 135 kB. 0 draws none ahead. Default: 16 MiB.
	MaxBytes int `json:"max_bytes"`

	// Percent of one core that drawing ahead may take: 1 to 100. Default: 10:
	// a full pool after half a minute.
	Percent int `json:"cpu_percent,omitempty"`
}

const (
	minPoolBytes     = 1 << 20
	maxPoolBytes     = 1 << 30
	defaultPoolBytes = 16 << 20
	defaultPercent   = 10

	// waitingFor is how many may wait for each that is drawn: with a millisecond a picture
	// nobody waits long.
	waitingFor = 64
)

// Validate checks the ranges.
func (p *Pool) Validate() error {
	if p.MaxBytes != 0 && (p.MaxBytes < minPoolBytes || p.MaxBytes > maxPoolBytes) {
		return errors.New("the pool must have 1MiB to 1GiB, or be off")
	}
	if p.Percent < 0 || p.Percent > 100 {
		return errors.New("the pool may take 1% to 100% of a core")
	}
	return nil
}

// parsePool reads <size> [<percent>] or off.
func (h *Handler) parsePool(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 || args[0] == "off" && len(args) > 1 {
		return d.Err("pool needs a size, and may have a share of a core, such as: pool 16MiB 25%, or: pool off")
	}
	h.Pool = new(Pool)
	if args[0] != "off" {
		size, err := humanize.ParseBytes(args[0])
		if err != nil || size < minPoolBytes || size > maxPoolBytes {
			return d.Errf("the pool's size %s must be 1MiB to 1GiB; for none write: pool off", args[0])
		}
		h.Pool.MaxBytes = int(size)
	}
	if len(args) == 2 {
		percent, err := strconv.Atoi(strings.TrimSuffix(args[1], "%"))
		if err != nil || percent < 1 || percent > 100 {
			return d.Errf("the pool's share %s must be 1%% to 100%% of a core", args[1])
		}
		h.Pool.Percent = percent
	}
	return nil
}

// pools of this process by what they are made of, so that a reload keeps what was drawn.
var pools = caddy.NewUsagePool()

type pooledKind struct{ *challenge.Pool }

func (p pooledKind) Destruct() error {
	p.Close()
	return nil
}

// provisionPool finds the pool that an earlier configuration has filled, or makes one. It
// fills when the configuration starts. made is the kind's configuration.
func (h *Handler) provisionPool(kind Kind, made string) error {
	settings := Pool{MaxBytes: defaultPoolBytes}
	if h.Pool != nil {
		settings = *h.Pool
	}
	if settings.Percent == 0 {
		settings.Percent = defaultPercent
	}
	key := fmt.Sprint(made, settings, h.MaxDrawing)
	pool, _, err := pools.LoadOrNew(key, func() (caddy.Destructor, error) {
		return pooledKind{challenge.NewPool(challenge.PoolConfig{
			Kind: kind, MaxBytes: settings.MaxBytes, Percent: settings.Percent,
			Drawers: h.MaxDrawing, Waiting: waitingFor * h.MaxDrawing, Meter: meter{},
		})}, nil
	})
	if err != nil {
		return err
	}
	h.pool, h.poolKey = pool.(pooledKind).Pool, key
	h.app.OnStart(h.pool.Start)
	return nil
}

// Cleanup lets go of the pool. Requests that still run draw for themselves.
func (h *Handler) Cleanup() error {
	if h.poolKey == "" {
		return nil
	}
	_, err := pools.Delete(h.poolKey)
	h.poolKey = ""
	return err
}

// Interface guards.
var (
	_ caddy.CleanerUpper = (*Handler)(nil)
	_ challenge.Meter    = meter{}
)
