package redis

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"flashgate"

	goredis "github.com/redis/go-redis/v9"
)

// maxPoolSize is the largest pool_size.
const maxPoolSize = 10_000

const (
	openOp   = "redis.Open"
	urlField = "redis"
	urlHelp  = "is not a URL such as redis://user:password@host:6379/0"
)

// parseURL reads the language of Config.URL. No error repeats a part of the URL but
// the name of a parameter. net/url reads the pieces only: it refuses several hosts,
// and its errors quote what they refuse.
func parseURL(text string) (*goredis.UniversalOptions, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "redis" && scheme != "rediss" {
		return nil, flashgate.Invalid(openOp, urlField, urlHelp)
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if strings.ContainsAny(tail, "@#") {
		// Most likely a password with / ? or # in it, which must not be taken apart and
		// quoted.
		return nil, flashgate.Invalid(openOp, urlField, "has an @ or # after the host: percent-encode / ? # and @ in user, password and parameters (%%2F %%3F %%23 %%40)")
	}
	opts := &goredis.UniversalOptions{}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if err := parseUser(opts, authority[:i]); err != nil {
			return nil, err
		}
		authority = authority[i+1:]
	}
	path, query, _ := strings.Cut(tail, "?")
	p, err := parseParameters(query)
	if err != nil {
		return nil, err
	}
	if err := p.topology(opts, authority, path); err != nil {
		return nil, err
	}
	if err := p.pool(opts); err != nil {
		return nil, err
	}
	if opts.TLSConfig, err = p.tls(scheme == "rediss"); err != nil {
		return nil, err
	}
	return opts, p.unknown()
}

func parseUser(opts *goredis.UniversalOptions, info string) error {
	user, password, _ := strings.Cut(info, ":")
	var err1, err2 error
	opts.Username, err1 = url.PathUnescape(user)
	opts.Password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return flashgate.Invalid(openOp, urlField, "has a %% in user or password that begins no percent-encoded character: write it as %%25")
	}
	if opts.Password == "" && opts.Username != "" {
		return flashgate.Invalid(openOp, urlField, "has a user without a password: write user:password@ or, for the default user, :password@")
	}
	return nil
}

// parameters are what follows the question mark; each is taken out when it is read.
type parameters map[string]string

func parseParameters(query string) (parameters, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, flashgate.Invalid(openOp, urlField, "has parameters that are not percent-encoded as in ?name=value&name=value")
	}
	p := parameters{}
	for name, all := range values {
		if len(all) > 1 {
			return nil, flashgate.Invalid(openOp, name, "is in the URL twice; leave one")
		}
		if all[0] == "" {
			return nil, flashgate.Invalid(openOp, name, "is empty in the URL; leave it out or give it a value")
		}
		p[name] = all[0]
	}
	return p, nil
}

func (p parameters) take(name string) string {
	value := p[name]
	delete(p, name)
	return value
}

func (p parameters) unknown() error {
	for name := range p {
		return flashgate.Invalid(openOp, name, "is not a parameter of a Redis URL; there are sentinel, sentinel_user, sentinel_password, cluster, pool_size, tls_ca, tls_cert, tls_key and tls_server_name")
	}
	return nil
}

// topology reads the hosts, the database, and how the hosts belong together.
func (p parameters) topology(opts *goredis.UniversalOptions, hosts, path string) error {
	opts.MasterName = p.take("sentinel")
	opts.SentinelUsername, opts.SentinelPassword = p.take("sentinel_user"), p.take("sentinel_password")
	if opts.MasterName == "" && (opts.SentinelUsername != "" || opts.SentinelPassword != "") {
		return flashgate.Invalid(openOp, "sentinel", "is missing: sentinel_user and sentinel_password need the name of the primary, sentinel=mymaster")
	}
	if opts.SentinelUsername != "" && opts.SentinelPassword == "" {
		return flashgate.Invalid(openOp, "sentinel_password", "is missing: sentinel_user needs it")
	}
	switch p.take("cluster") {
	case "true":
		opts.IsClusterMode = true
	case "", "false":
	default:
		return flashgate.Invalid(openOp, "cluster", "must be true or false")
	}
	if opts.IsClusterMode && opts.MasterName != "" {
		return flashgate.Invalid(openOp, "cluster", "excludes sentinel: a Cluster needs no Sentinel; leave one of them out")
	}
	port := "6379"
	if opts.MasterName != "" {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		addr, ok := address(host, port)
		if !ok {
			return flashgate.Invalid(openOp, urlField, "must name each host as host:port, such as redis://host:6379 or redis://[2001:db8::1]:6379")
		}
		opts.Addrs = append(opts.Addrs, addr)
	}
	if len(opts.Addrs) > 1 && !opts.IsClusterMode && opts.MasterName == "" {
		return flashgate.Invalid(openOp, urlField, "names several hosts: add sentinel=<name of the primary> or cluster=true")
	}
	if path = strings.TrimPrefix(path, "/"); path == "" {
		return nil
	}
	if opts.IsClusterMode {
		if path == "0" {
			return nil
		}
		return flashgate.Invalid(openOp, "database", "must be left out: a Cluster has no numbered databases")
	}
	db, err := strconv.ParseUint(path, 10, 31)
	if err != nil {
		return flashgate.Invalid(openOp, "database", "must be a number after the host, such as redis://host:6379/0")
	}
	opts.DB = int(db)
	return nil
}

// address adds the default port.
func address(host, port string) (string, bool) {
	name, given, err := net.SplitHostPort(host)
	if err != nil {
		name, given = host, port
		if inner, ok := strings.CutPrefix(host, "["); ok {
			if name, ok = strings.CutSuffix(inner, "]"); !ok {
				return "", false
			}
		} else if strings.Contains(host, ":") {
			return "", false // an IPv6 address without brackets, or a second colon
		}
	}
	if n, err := strconv.ParseUint(given, 10, 16); err != nil || n == 0 {
		return "", false
	}
	if name == "" || strings.ContainsAny(name, "[]@ %\t\r\n") {
		return "", false
	}
	return net.JoinHostPort(name, given), true
}

func (p parameters) pool(opts *goredis.UniversalOptions) error {
	size := p.take("pool_size")
	if size == "" {
		return nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 1 || n > maxPoolSize {
		return flashgate.Invalid(openOp, "pool_size", "must be a number of connections from 1 to %d", maxPoolSize)
	}
	opts.PoolSize = n
	return nil
}

// tls reads the files now, so that a mistake in them shows at start.
func (p parameters) tls(on bool) (*tls.Config, error) {
	ca, cert, key, name := p.take("tls_ca"), p.take("tls_cert"), p.take("tls_key"), p.take("tls_server_name")
	if !on {
		for field, value := range map[string]string{"tls_ca": ca, "tls_cert": cert, "tls_key": key, "tls_server_name": name} {
			if value != "" {
				return nil, flashgate.Invalid(openOp, field, "needs TLS: begin the URL with rediss://")
			}
		}
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, badFile("tls_ca", "cannot be read: give the path of a PEM file", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, badFile("tls_ca", "has no certificate in it: give the path of a PEM file", nil)
		}
	}
	if (cert == "") != (key == "") {
		return nil, flashgate.Invalid(openOp, "tls_cert", "and tls_key belong together: give both or none")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, badFile("tls_cert", "and tls_key cannot be read as a certificate and its key: give the paths of two PEM files", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

func badFile(field, message string, err error) error {
	e := flashgate.Invalid(openOp, field, "%s", message)
	e.Err = err
	return e
}
