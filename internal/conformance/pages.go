package conformance

import (
	"bytes"
	"testing"
	"time"

	"flashgate"
)

// PagesFixture is what Pages runs on: a store that nobody else uses.
type PagesFixture struct {
	Pages flashgate.PageStore
	// TooLarge is a size in bytes that the store does not keep; zero when it keeps
	// every size, and then the suite sees that it keeps 8 MiB.
	TooLarge int
}

// Pages is the suite of flashgate.PageStore. A store may forget anything at any
// time, so the suite tries again until it keeps something.
func Pages(t *testing.T, open func(t *testing.T) PagesFixture) {
	run(t, open, []testCase[PagesFixture]{
		{name: "Keeps", run: pagesKeeps},
		{name: "Replaces", run: pagesReplaces},
		{name: "Expires", run: pagesExpires},
		{name: "Delete", run: pagesDelete},
		{name: "Clear", run: pagesClear},
		{name: "Size", run: pagesSize},
		{name: "Concurrent", run: pagesConcurrent},
	})
}

func getPage(t testing.TB, f PagesFixture, key string) (page []byte, ok bool) {
	t.Helper()
	page, ok, err := f.Pages.GetPage(t.Context(), key)
	if err != nil {
		t.Fatalf("GetPage: %v", err)
	}
	return page, ok
}

func setPage(t testing.TB, f PagesFixture, key string, page []byte, ttl time.Duration) {
	t.Helper()
	if err := f.Pages.SetPage(t.Context(), key, page, ttl); err != nil {
		t.Fatalf("SetPage: %v", err)
	}
}

// keepPage sets a page until the store has it. Another page under the key is a
// failure at once.
func keepPage(t testing.TB, f PagesFixture, key string, page []byte) {
	t.Helper()
	eventually(t, "the store keeps a page", func() bool {
		setPage(t, f, key, page, time.Hour)
		got, ok := getPage(t, f, key)
		if ok && !bytes.Equal(got, page) {
			t.Fatalf("GetPage gives %d bytes that are not the page of %d bytes", len(got), len(page))
		}
		return ok
	})
}

func wantNoPage(t testing.TB, f PagesFixture, key, what string) {
	t.Helper()
	if got, ok := getPage(t, f, key); ok {
		t.Errorf("%s: GetPage gives %d bytes", what, len(got))
	}
}

func pagesKeeps(t *testing.T, f PagesFixture) {
	wantNoPage(t, f, unique(), "never set")
	for _, page := range [][]byte{[]byte("<p>"), {}, {0, 1, 255}, bytes.Repeat([]byte("0123456789abcdef"), 4096)} {
		keepPage(t, f, "GET /goods/1?a=b "+unique()+"\x00{ä}", page)
	}
}

func pagesReplaces(t *testing.T, f PagesFixture) {
	key := unique()
	keepPage(t, f, key, []byte("old"))
	keepPage(t, f, key, []byte("new and longer"))
	keepPage(t, f, key, []byte("n"))
}

func pagesExpires(t *testing.T, f PagesFixture) {
	key, other := unique(), unique()
	eventually(t, "a page is kept and then over", func() bool {
		setPage(t, f, key, []byte("page"), 150*time.Millisecond)
		_, kept := getPage(t, f, key)
		setPage(t, f, other, []byte("page"), time.Hour)
		eventually(t, "a page is over after its time to live", func() bool {
			_, ok := getPage(t, f, key)
			return !ok
		})
		_, stays := getPage(t, f, other)
		return kept && stays
	})
}

func pagesDelete(t *testing.T, f PagesFixture) {
	key, other := unique(), unique()
	keepPage(t, f, key, []byte("page"))
	for range 2 {
		if err := f.Pages.DeletePage(t.Context(), key); err != nil {
			t.Fatalf("DeletePage: %v", err)
		}
		wantNoPage(t, f, key, "deleted")
	}
	eventually(t, "deleting a page leaves another", func() bool {
		setPage(t, f, other, []byte("other"), time.Hour)
		if err := f.Pages.DeletePage(t.Context(), key); err != nil {
			t.Fatalf("DeletePage: %v", err)
		}
		_, ok := getPage(t, f, other)
		return ok
	})
}

func pagesClear(t *testing.T, f PagesFixture) {
	var kept []string
	for range 30 {
		key := unique()
		keepPage(t, f, key, []byte("page"))
		kept = append(kept, key)
	}
	if err := f.Pages.ClearPages(t.Context()); err != nil {
		t.Fatalf("ClearPages: %v", err)
	}
	for _, key := range kept {
		wantNoPage(t, f, key, "cleared")
	}
	keepPage(t, f, kept[0], []byte("again"))
	if err := f.Pages.ClearPages(t.Context()); err != nil {
		t.Fatalf("ClearPages: %v", err)
	}
}

func pagesSize(t *testing.T, f PagesFixture) {
	key := unique()
	if f.TooLarge == 0 {
		keepPage(t, f, key, make([]byte, 8<<20))
		return
	}
	setPage(t, f, key, make([]byte, f.TooLarge), time.Hour)
	wantNoPage(t, f, key, "too large")
	keepPage(t, f, key, []byte("small"))
}

// pagesConcurrent: readers find whole pages or none.
func pagesConcurrent(t *testing.T, f PagesFixture) {
	key := unique()
	concurrently(16, func(i int) {
		page := bytes.Repeat([]byte{byte(i)}, 1000+i)
		for range 50 {
			if err := f.Pages.SetPage(t.Context(), key, page, time.Hour); err != nil {
				t.Errorf("SetPage: %v", err)
			}
			got, ok, err := f.Pages.GetPage(t.Context(), key)
			if err != nil {
				t.Errorf("GetPage: %v", err)
			}
			if ok && (len(got) < 1000 || len(got) != 1000+int(got[0]) || bytes.Count(got, got[:1]) != len(got)) {
				t.Errorf("GetPage gives a mixture of %d bytes", len(got))
			}
		}
	})
}
