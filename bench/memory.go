package main

import (
	"runtime"
	"strconv"
	"time"

	"flashgate"
	"flashgate/internal/ratelimit"
)

// memoryKeys is how many keys the goal about memory speaks of.
const memoryKeys = 1_000_000

// keyMemory is what the counters of many keys cost in the table that a gateway keeps them
// in. It is measured in this process: a server has much else in its memory.
type keyMemory struct {
	Keys    int     `json:"keys"`
	PerKey  float64 `json:"bytes_per_key"`       // of the heap, with all keys in it
	AtWorst float64 `json:"worst_bytes_per_key"` // of the places, after a growth, from half of the keys on
}

// measureMemory fills a table that has room for more.
func measureMemory(keys int) keyMemory {
	m := keyMemory{Keys: keys}
	table := ratelimit.NewTable(4 * keys)
	before := heapInUse()
	places := 0
	for i := range keys {
		table.Charge([]flashgate.Charge{{Key: "user-" + strconv.Itoa(i), Rate: flashgate.Rate{Limit: 5, Window: time.Hour}}}, 1)
		if i >= keys/2 && i%(keys/20) == 0 && table.Places() > places {
			places = table.Places()
			m.AtWorst = max(m.AtWorst, float64(places*ratelimit.PlaceBytes)/float64(i+1))
		}
	}
	m.PerKey = float64(heapInUse()-before) / float64(keys)
	if table.Len(1) != keys {
		m.PerKey = 0 // some were forgotten, so it is not their price
	}
	return m
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
