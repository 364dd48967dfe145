package pagecache

import (
	"flashgate/caddymodule/app"
	"flashgate/internal/httpcache"

	"github.com/caddyserver/caddy/v2"
)

// flights belong to a store, as the pages do, and outlive a reload: one request to the
// origin serves all who wait, whichever configuration they came by.
var flights = caddy.NewUsagePool()

type storeFlights struct{ *httpcache.Flights }

// Destruct has nothing to do: requests that are under way end by themselves.
func (storeFlights) Destruct() error { return nil }

func flightsOf(pages app.Pages) (*httpcache.Flights, error) {
	f, _, err := flights.LoadOrNew(pages.Key, func() (caddy.Destructor, error) { return storeFlights{httpcache.NewFlights()}, nil })
	if err != nil {
		return nil, err
	}
	return f.(storeFlights).Flights, nil
}
