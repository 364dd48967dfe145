package app

import (
	"flashgate"

	"github.com/prometheus/client_golang/prometheus"
)

// pageMetrics reads the page cache of the app that serves now.
type pageMetrics struct{}

func pageDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("flashgate", "page_cache", name), help, labels, nil)
}

var (
	pageBytes     = pageDesc("memory_bytes", "What the pages in this gateway's memory cost. Over several gateways: sum.")
	pageMax       = pageDesc("memory_max_bytes", "What they may cost, by page_memory. Over several gateways: sum.")
	pageCount     = pageDesc("memory_pages", "Pages in this gateway's memory, records of what pages vary by included. Over several gateways: sum.")
	pageEvictions = pageDesc("evictions_total", "Pages that had to make room for others in memory. Over several gateways: sum.")
	pageLookups   = pageDesc("lookups_total", "Times that a page was looked for, by where it was found. Over several gateways: sum.", "found")
	pageStored    = pageDesc("stored_total", "Pages that were stored. Over several gateways: sum.")
	pageUnshared  = pageDesc("unshared_total", "Pages that were not written to what all gateways share, as it was away or too slow. Over several gateways: sum.")
	pagePurges    = pageDesc("purges_total", "Purges that were made at this gateway, by kind. Over several gateways: sum.", "kind")
)

// Describe is part of prometheus.Collector.
func (pageMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pageBytes, pageMax, pageCount, pageEvictions, pageLookups, pageStored, pageUnshared, pagePurges} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (pageMetrics) Collect(ch chan<- prometheus.Metric) {
	a := Live()
	if a == nil {
		return
	}
	s := a.Pages().Stats()
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(pageBytes, s.Bytes)
	gauge(pageMax, s.MaxBytes)
	gauge(pageCount, s.Pages)
	count(pageEvictions, s.Evictions)
	count(pageLookups, s.MemoryHits, "memory")
	count(pageLookups, s.SharedHits, "shared")
	count(pageLookups, s.Misses, "none")
	count(pageStored, s.Sets)
	count(pageUnshared, s.Dropped)
	for _, kind := range []flashgate.PurgeKind{flashgate.PurgeURL, flashgate.PurgePrefix, flashgate.PurgeTag, flashgate.PurgeAll} {
		count(pagePurges, s.Purges[kind], string(kind))
	}
}
