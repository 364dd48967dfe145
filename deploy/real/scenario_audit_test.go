package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"flashgate"
)

// sums are the books of a sale without those of the broker, which take a second to read.
type sums struct {
	Seeded, Left, Live, Taken, Most int64 // in the database; Most: units of the user who has most
	Letters, Seq                    int64
	Free, Held, Applied, Shares     int64 // at the gate
	HeldOrders, Outbox              int64
}

func (sc *scene) sums() (b sums, err error) {
	ctx := sc.t.Context()
	err = sc.books.db.QueryRowContext(ctx, `SELECT s.seeded, s.stock_left, s.seq,
		(SELECT COALESCE(SUM(units), 0) FROM orders WHERE sale = s.id AND status IN ('pending', 'paid')),
		(SELECT COALESCE(MAX(n), 0) FROM (SELECT SUM(units) n FROM orders WHERE sale = ? AND status IN ('pending', 'paid') GROUP BY user) u),
		(SELECT COALESCE(SUM(taken), 0) FROM buyer WHERE sale = s.id),
		(SELECT COUNT(*) FROM dead_letter WHERE sale = s.id)
		FROM sale s WHERE s.id = ?`, sc.sale, sc.sale).Scan(&b.Seeded, &b.Left, &b.Seq, &b.Live, &b.Most, &b.Taken, &b.Letters)
	if err != nil {
		return b, err
	}
	key := func(name string) string { return "flashgate:{" + string(sc.sale) + "}:" + name }
	head, err := sc.books.redis.HMGet(ctx, key("head"), "free", "held", "applied").Result()
	if err != nil {
		return b, err
	}
	if _, err := fmt.Sscan(fmt.Sprint(head[0], " ", head[1], " ", head[2]), &b.Free, &b.Held, &b.Applied); err != nil {
		return b, fmt.Errorf("head of sale %s: %v: %w", sc.sale, head, err)
	}
	if b.HeldOrders, err = sc.books.redis.HLen(ctx, key("held")).Result(); err != nil {
		return b, err
	}
	for _, name := range []string{"outbox", "leased"} {
		n, err := sc.books.redis.ZCard(ctx, key(name)).Result()
		if err != nil {
			return b, err
		}
		b.Outbox += n
	}
	buyers, err := sc.books.redis.HGetAll(ctx, key("buyers")).Result()
	for field, value := range buyers {
		if strings.HasPrefix(field, "u:") {
			var n int64
			if _, err := fmt.Sscan(value, &n); err != nil {
				return b, fmt.Errorf("buyers of sale %s: %s is %q", sc.sale, field, value)
			}
			b.Shares += n
		}
	}
	return b, err
}

// atRest reports whether nothing is on its way any more.
func (b sums) atRest() bool {
	return b.Held == 0 && b.HeldOrders == 0 && b.Outbox == 0 && b.Applied == b.Seq && b.Letters == 0
}

// check holds the sums of a sale at rest against the promises. perUser is the sale's.
func (b sums) check(perUser int64) (broken []string) {
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	wrong(b.Live > b.Seeded || b.Left < 0, "P1: %d units were there, %d are sold, %d left", b.Seeded, b.Live, b.Left)
	wrong(b.Most > perUser || b.Taken != b.Live, "P3: a user has %d units, %d are allowed; %d are noted as taken and %d are live", b.Most, perUser, b.Taken, b.Live)
	wrong(b.Seeded != b.Left+b.Live, "P4: in the database, %d were there ≠ %d left + %d live", b.Seeded, b.Left, b.Live)
	wrong(b.Held != 0 || b.HeldOrders != 0, "P4: the gate still holds %d units, of %d orders", b.Held, b.HeldOrders)
	wrong(b.Free+b.Held != b.Left, "P4: at the gate, %d free + %d held ≠ %d left", b.Free, b.Held, b.Left)
	wrong(b.Shares != b.Live+b.Held, "P3: at the gate, users have shares of %d units, and %d are live", b.Shares, b.Live)
	wrong(b.Outbox != 0, "P2: %d orders still wait to be published", b.Outbox)
	wrong(b.Letters != 0, "P2: %d dead letters are left", b.Letters)
	wrong(b.Applied != b.Seq, "P4: the gate has applied change %d of %d", b.Applied, b.Seq)
	return broken
}

// restWithin bounds the way to rest. The relay looks at what has been held for long
// after ten seconds and needs three more to publish it again.
const restWithin = 30 * time.Second

// end waits until the sale is at rest, and judges.
func (sc *scene) end() {
	sc.t.Helper()
	var b sums
	var err error
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	quiet := 0 // looks in a row
	for end := time.Now().Add(restWithin); quiet < 4 && time.Now().Before(end); <-tick.C {
		before := b
		if b, err = sc.sums(); err == nil && b.atRest() && b == before {
			quiet++
		} else {
			quiet = 0
		}
	}
	if err != nil {
		sc.t.Fatalf("P2: the sale is not open again: %v", err)
	}
	for _, broken := range b.check(sc.limit(sc.t)) {
		sc.t.Error(broken)
	}
	v := sc.books.judge(sc.t, sc.journal.Close(sc.t), []flashgate.SaleID{sc.sale}, sc.losses)
	for _, broken := range v.broken {
		sc.t.Error(broken)
	}
	if v.rejected > 0 {
		// Nothing that was answered 202 had a place in Redis only.
		sc.t.Errorf("P2: %d orders were answered 202 and are rejected, though Redis had nothing to lose that was not in the queue", v.rejected)
	}
	if sc.t.Failed() {
		sc.t.Logf("%+v", b)
	}
}

// limit is how many units of the sale a user may have.
func (sc *scene) limit(t *testing.T) (n int64) {
	t.Helper()
	must(t, sc.books.db.QueryRowContext(t.Context(), "SELECT per_user FROM sale WHERE id = ?", sc.sale).Scan(&n))
	return n
}
