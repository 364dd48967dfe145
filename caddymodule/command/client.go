package command

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"flashgate/caddymodule/app"
)

// clientOf writes a client as the limit's counters know it: an address with the bits that
// count, in the usual form. What the limit can never count is an error, as a ban of it
// would do nothing and say nothing.
func clientOf(l app.NamedLimit, client string) (string, error) {
	if strings.HasPrefix(client, "#") { // a digest, from a list
		return client, nil
	}
	if len(l.By) == 1 {
		return partOf(l, l.By[0], client)
	}
	parts, ok := split(client)
	if !ok || len(parts) != len(l.By) {
		return "", fmt.Errorf("the limit %q counts by %s together: name a client with %d parts, each as for a limit of its own, such as: %s", l.Name, strings.Join(l.By, " and "), len(l.By), example(l))
	}
	for i := range parts {
		var err error
		if parts[i], err = partOf(l, l.By[i], parts[i]); err != nil {
			return "", err
		}
	}
	return join(parts), nil
}

func example(l app.NamedLimit) string {
	var parts []string
	for _, by := range l.By {
		switch by {
		case "all":
			parts = append(parts, `"all"`)
		case "address":
			parts = append(parts, `"address 192.0.2.1"`)
		default:
			parts = append(parts, `"key u1"`)
		}
	}
	return strings.Join(parts, " ")
}

// partOf is clientOf for one key of a limit.
func partOf(l app.NamedLimit, by, client string) (string, error) {
	address, isAddress := strings.CutPrefix(client, "address ")
	switch {
	case by == "all" && client == "all":
		return client, nil
	case by == "all":
		return "", fmt.Errorf(`the limit %q counts everybody together: its only client is "all"`, l.Name)
	case isAddress: // of an anonymous user, too
		return addressOf(l, address)
	case by == "address":
		return "", fmt.Errorf(`client %q: the limit %q counts addresses; write "address 192.0.2.1" or "address 2001:db8::1"`, client, l.Name)
	case strings.HasPrefix(client, "key ") && client != "key ":
		return client, nil
	}
	return "", fmt.Errorf(`client %q: write "key <user or other key>", or "address 192.0.2.1" for who has none`, client)
}

func addressOf(l app.NamedLimit, text string) (string, error) {
	p, err := netip.ParsePrefix(text)
	single := err != nil
	if single {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return "", fmt.Errorf(`%q is no address such as 192.0.2.1 or 2001:db8::1`, text)
		}
		a = a.Unmap().WithZone("")
		p = netip.PrefixFrom(a, a.BitLen())
	}
	bits := l.IPv6Prefix
	if p.Addr().Is4() {
		bits = l.IPv4Prefix
	}
	if !single && p.Bits() != bits {
		return "", fmt.Errorf("the limit %q counts /%d networks of such addresses, not /%d: name one of them, or block the network in the configuration: block { remote_ip %s }", l.Name, bits, p.Bits(), p)
	}
	if p = netip.PrefixFrom(p.Addr(), bits).Masked(); bits == p.Addr().BitLen() {
		return "address " + p.Addr().String(), nil
	}
	return "address " + p.String(), nil
}

// join makes one client of several parts, no two alike: each begins with its length.
func join(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strconv.Itoa(len(p)) + ":" + p)
	}
	return b.String()
}

// split is the way back.
func split(client string) (parts []string, ok bool) {
	for client != "" {
		length, rest, found := strings.Cut(client, ":")
		n, err := strconv.Atoi(length)
		if !found || err != nil || n < 0 || n > len(rest) {
			return nil, false
		}
		parts, client = append(parts, rest[:n]), rest[n:]
	}
	return parts, len(parts) > 0
}

// named takes the key of a mark apart, for a list that can be typed off: limit and client,
// each quoted, as a visitor may have put anything into it.
func named(key string, limits []LimitStatus) string {
	longest := ""
	for _, l := range limits {
		if strings.HasPrefix(key, app.LimitKey(l.Name, "")) && len(l.Name) > len(longest) {
			longest = l.Name
		}
	}
	if longest == "" {
		return strconv.QuoteToASCII(key)
	}
	client := strings.TrimPrefix(key, app.LimitKey(longest, ""))
	parts, ok := split(client)
	if !ok {
		parts = []string{client}
	}
	all := slices.Concat([]string{longest}, parts)
	for i := range all {
		all[i] = strconv.QuoteToASCII(all[i])
	}
	return strings.Join(all, " ")
}
