package redis_test

import (
	"testing"

	"flashgate"
	"flashgate/internal/conformance"
	"flashgate/internal/redis"
)

// maxPage is small, so that the suite need not send megabytes.
const maxPage = 100_000

// twoStores are two gateways on one Redis.
func twoStores(t testing.TB, url string) [2]*redis.Store {
	t.Helper()
	return [2]*redis.Store{newStore(t, url), newStore(t, url)}
}

func sessionsFixture(t testing.TB, url string) conformance.SessionsFixture {
	t.Helper()
	s := twoStores(t, url)
	return conformance.SessionsFixture{
		Stores: [2]flashgate.SessionStore{s[0], s[1]},
		Reopen: func(t testing.TB) conformance.SessionsFixture {
			t.Helper()
			for _, store := range s {
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
			}
			return sessionsFixture(t, url)
		},
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		conformance.Sessions(t, func(t *testing.T) conformance.SessionsFixture { return sessionsFixture(t, url) })
	})
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		conformance.Limiter(t, func(t *testing.T) conformance.LimiterFixture {
			s := twoStores(t, url)
			return conformance.LimiterFixture{Stores: [2]flashgate.Limiter{s[0], s[1]}}
		})
	})
}

func TestMarks(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		conformance.Marks(t, func(t *testing.T) conformance.MarksFixture {
			s := twoStores(t, url)
			return conformance.MarksFixture{Stores: [2]flashgate.Marks{s[0], s[1]}}
		})
	})
}

func TestOneTime(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		conformance.OneTime(t, func(t *testing.T) conformance.OneTimeFixture {
			s := twoStores(t, url)
			return conformance.OneTimeFixture{Stores: [2]flashgate.OneTime{s[0], s[1]}}
		})
	})
}

func TestPages(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		conformance.Pages(t, func(t *testing.T) conformance.PagesFixture {
			s := openStore(t, redis.Config{URL: url, Prefix: unique(), MaxPageBytes: maxPage})
			return conformance.PagesFixture{Pages: s, TooLarge: maxPage + 1}
		})
	})
}
