package pagecache

import (
	"flashgate/caddymodule/app"
	"flashgate/internal/httpcache"
)

// counters returns what counts each result: looked up once, not for each request.
func counters() func(httpcache.Result) {
	byResult := make(map[httpcache.Result]app.Counter, len(httpcache.Results))
	for _, r := range httpcache.Results {
		byResult[r] = app.DecisionCounter(op, string(r))
	}
	return func(r httpcache.Result) { byResult[r].Inc() }
}
