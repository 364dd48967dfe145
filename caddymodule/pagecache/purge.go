package pagecache

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// methodPurge is the method that caches have agreed on without a standard.
const methodPurge = "PURGE"

// softField makes a purge a soft one, whatever its value.
const softField = "Soft-Purge"

var errNotYours = errors.New("PURGE is not allowed from this address")

// purge gives up the page at the request's address, all pages that begin with it when it
// ends with *, or those with the tags of Cache-Tag and Surrogate-Key, on all gateways.
func (h *Handler) purge(w http.ResponseWriter, r *http.Request) error {
	app.CountDecision(op, "purge")
	if !h.mayPurge(r) {
		return h.refuse(w, http.StatusForbidden, notYours, errNotYours)
	}
	_, soft := r.Header[softField]
	var purges []flashgate.Purge
	for _, line := range r.Header["Cache-Tag"] {
		for tag := range strings.SplitSeq(line, ",") {
			purges = append(purges, flashgate.Purge{Kind: flashgate.PurgeTag, Value: strings.TrimSpace(tag), Soft: soft})
		}
	}
	for _, line := range r.Header["Surrogate-Key"] {
		for tag := range strings.FieldsSeq(line) {
			purges = append(purges, flashgate.Purge{Kind: flashgate.PurgeTag, Value: tag, Soft: soft})
		}
	}
	if len(purges) == 0 {
		p := flashgate.Purge{Kind: flashgate.PurgeURL, Value: h.cache.Address(r), Soft: soft}
		if beginning, ok := strings.CutSuffix(p.Value, "*"); ok {
			p.Kind, p.Value = flashgate.PurgePrefix, beginning
		}
		purges = append(purges, p)
	}
	for _, p := range purges {
		if err := p.Validate(); err != nil {
			return h.refuse(w, http.StatusBadRequest, notAPurge, err)
		}
	}
	var failed error // of one: all hold on this gateway
	for _, p := range purges {
		failed = errors.Join(failed, h.store.Purge(r.Context(), p))
	}
	if failed != nil {
		return h.refuse(w, http.StatusServiceUnavailable, notPurged, failed)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// mayPurge goes by the client's address and, behind a trusted proxy, by all that it says
// of the way: Caddy believes the front of X-Forwarded-For, which a client can write,
// unless trusted_proxies_strict is set.
func (h *Handler) mayPurge(r *http.Request) bool {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	way := []string{text}
	if trusted(r) {
		for _, line := range r.Header["X-Forwarded-For"] {
			way = append(way, strings.Split(line, ",")...)
		}
	}
	for _, text := range way {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || !slices.ContainsFunc(h.purgeFrom, func(n netip.Prefix) bool { return n.Contains(a.WithZone("").Unmap()) }) {
			return false
		}
	}
	return true
}

// networks reads addresses and networks; private_ranges stands for the private ones, as
// in Caddy's own directives.
func networks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		if text == "private_ranges" {
			private, err := networks(caddyhttp.PrivateRangesCIDR())
			if err != nil {
				return nil, err
			}
			out = append(out, private...)
			continue
		}
		n, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("purge_from: %q is no address or network such as 10.0.0.0/8", text)
			}
			n = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, n.Masked())
	}
	return out, nil
}
