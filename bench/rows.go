package main

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A group is measured together: its rows take turns in every round, driven by the same
// requests, and are compared with its first row and with each other.
type group struct {
	name  string
	title string
	traffic
	connections int    // default: settings.Connections
	longer      int    // so many times settings.Seconds; default 1
	answer      []byte // what an answer of 200 must be; default: ok
	contains    string // what every answer must have in it, instead
	rows        []row
}

// A row is one server with one configuration.
type row struct {
	name     string
	server   string // caddy, nginx or varnish
	site     string // lines of the Caddyfile's site, or of nginx's location
	global   string // lines of the global options, or of nginx's http block
	last     string // what answers, on Caddy and nginx; default: ok
	status   int    // of every answer; default 200, or 304 where the requests have the tag
	leaks    int64  // so many answers of a sample may be 200 although the row refuses
	redis    bool   // it needs a Redis, and must use it
	quiet    bool   // it need not use it
	baseline string // what it is compared with, beside the first row; a row of the group

	// Of rows that sell.
	stock    stockKind
	phase    salePhase
	sessions bool   // the buyers have sessions
	queue    bool   // it needs a RabbitMQ
	noQueue  bool   // what is published is thrown away
	halfOf   string // it is that row's server, with half of the requests per second that it can do
}

// traffic is what is the same in all requests of a group, or differs.
type traffic struct {
	keys bool // every request has one of many keys in the header X-Key, in turns
	tag  bool // every request has the page's entity tag: the answer is 304

	orders bool // every request buys, at an address of its own
}

const (
	caddyServer   = "caddy"
	nginxServer   = "nginx"
	varnishServer = "varnish"
)

// Limits that refuse: five requests, then nothing for an hour.
const (
	deny      = `access_limit 5 1h by all`
	denyQuiet = deny + " {\n\tsensitive\n}"
	denyOther = "rate_limit {\n\tzone one {\n\t\tkey static\n\t\tevents 5\n\t\twindow 1h\n\t}\n}"
	denyNginx = `limit_req zone=one;` // one a minute: nginx knows nothing slower
	zoneOne   = `limit_req_zone $server_port zone=one:1m rate=1r/m;`

	onlyErrors = "log {\n\tlevel ERROR\n}" // caddy-ratelimit logs each refusal at INFO
)

// Limits of a key that never refuse here: 100 a second for each of 10,000 keys.
const (
	allowKeys      = `access_limit 100 1s by header X-Key`
	allowKeysQuiet = allowKeys + " {\n\tsensitive\n}"
	allowKeysOther = "rate_limit {\n\tzone keys {\n\t\tkey {http.request.header.X-Key}\n\t\tevents 100\n\t\twindow 1s\n\t}\n}"
	allowKeysNginx = `limit_req zone=keys burst=100 nodelay;`
	zoneKeys       = `limit_req_zone $http_x_key zone=keys:32m rate=100r/s;`
)

// One busy key that may do a million requests in ten seconds.
const (
	allowOne      = `access_limit 1000000 10s by all`
	allowOneLease = allowOne + " {\n\tlease 100\n}"
	onRedis       = "flashgate {\n\tstate redis {env.REDIS_URL}\n}"
)

// Names of rows that goals speak of.
const (
	bare       = "respond"
	limit      = "access_limit"
	quiet      = "access_limit sensitive"
	other      = "caddy-ratelimit"
	otherQuiet = "caddy-ratelimit, log ERROR"
	nginxBare  = "nginx"
	nginxLimit = "nginx limit_req"
	inMemory   = "in memory"
	withRedis  = "with Redis"
	withLease  = "with Redis, lease 100"
)

func allGroups() []group {
	return append([]group{
		{name: "denied", title: "one key, denied", rows: []row{
			{name: bare, server: caddyServer},
			{name: limit, server: caddyServer, site: deny, status: 429},
			{name: quiet, server: caddyServer, site: denyQuiet, status: 429},
			{name: other, server: caddyServer, site: denyOther, status: 429},
			{name: otherQuiet, server: caddyServer, site: denyOther, global: onlyErrors, status: 429},
			{name: nginxBare, server: nginxServer},
			{name: nginxLimit, server: nginxServer, site: denyNginx, global: zoneOne, status: 429, leaks: 2, baseline: nginxBare},
		}},
		{name: "keys", title: "10,000 keys, allowed", traffic: traffic{keys: true}, rows: []row{
			{name: bare, server: caddyServer},
			{name: limit, server: caddyServer, site: allowKeys},
			{name: quiet, server: caddyServer, site: allowKeysQuiet},
			{name: other, server: caddyServer, site: allowKeysOther},
			{name: nginxBare, server: nginxServer},
			{name: nginxLimit, server: nginxServer, site: allowKeysNginx, global: zoneKeys, baseline: nginxBare},
			{name: withRedis, server: caddyServer, site: allowKeys, global: onRedis, redis: true, baseline: limit},
		}},
		{name: "redis", title: "one busy key, allowed", rows: []row{
			{name: bare, server: caddyServer},
			{name: inMemory, server: caddyServer, site: allowOne},
			{name: withRedis, server: caddyServer, site: allowOne, global: onRedis, redis: true, baseline: inMemory},
			{name: withLease, server: caddyServer, site: allowOneLease, global: onRedis, redis: true, baseline: inMemory},
		}},
	}, append(pageGroups(), gateGroups()...)...)
}

// statusIn is what the row's answers must have, in its group.
func (r row) statusIn(g group) int {
	switch {
	case r.status != 0:
		return r.status
	case g.tag:
		return 304
	default:
		return 200
	}
}

// selectRows keeps the rows whose group/name contains only, or one of several with | between
// them, with the rows that these
// are compared with.
func selectRows(all []group, only string) (selected []group) {
	for _, g := range all {
		var wanted []string
		for i, r := range g.rows {
			if slices.ContainsFunc(strings.Split(only, "|"), func(part string) bool { return strings.Contains(g.name+"/"+r.name, part) }) {
				wanted = append(wanted, g.rows[0].name, g.rows[i].name, r.baseline, r.halfOf)
			}
		}
		g.rows = slices.DeleteFunc(slices.Clone(g.rows), func(r row) bool { return !slices.Contains(wanted, r.name) })
		if len(g.rows) > 0 {
			selected = append(selected, g)
		}
	}
	return selected
}

// anyRow reports whether a row of the groups is as wanted.
func anyRow(groups []group, wanted func(row) bool) bool {
	return slices.ContainsFunc(groups, func(g group) bool { return slices.ContainsFunc(g.rows, wanted) })
}

func names(groups []group) string {
	var b strings.Builder
	for _, g := range groups {
		for _, r := range g.rows {
			b.WriteString("  " + g.name + "/" + r.name + "\n")
		}
	}
	return b.String()
}

// caddyfile is the whole configuration of a row on Caddy.
func (r row) caddyfile(port int) string {
	global := "admin off\npersist_config off\nauto_https off\n" + r.global
	site := "bind 127.0.0.1\n" + r.site + "\n" + cmp.Or(r.last, `respond "ok"`)
	return block("", global) + block("http://:"+strconv.Itoa(port)+" ", site)
}

// nginxConf is the same of a row on nginx. `return` answers before limit_req is asked,
// so the answer comes from a named location that is reached after it.
func (r row) nginxConf(port int) string {
	location := cmp.Or(r.last, "try_files /none @ok;\n"+r.site)
	http := "access_log off;\nkeepalive_requests 1000000000;\nlimit_req_status 429;\nlimit_req_log_level info;\nroot /nonexistent;\n" +
		"client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n" +
		r.global + "\n" +
		block("server ", "listen 127.0.0.1:"+strconv.Itoa(port)+";\ndefault_type text/plain;\n"+
			block("location / ", location)+
			block("location @ok ", `return 200 "ok";`))
	user := ""
	if os.Geteuid() == 0 { // the folder is nobody else's
		user = "user root;\n"
	}
	modules := ""
	if r.lua() {
		modules = nginxModules
	}
	return user + modules + "daemon off;\nworker_processes auto;\npid nginx.pid;\nerror_log error.log error;\n" +
		block("events ", "worker_connections 1024;") + block("http ", http)
}

// block writes lines into braces.
func block(head, lines string) string {
	return head + "{\n" + strings.TrimSpace(lines) + "\n}\n"
}
