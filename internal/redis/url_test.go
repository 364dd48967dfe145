package redis_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/redis"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	type want struct {
		Addrs            []string
		User, Password   string
		DB               int
		Sentinel         string
		SentinelUser     string
		SentinelPassword string
		Cluster          bool
		PoolSize         int
		TLS              bool
		ServerName       string
	}
	for url, w := range map[string]want{
		"redis://host":                                 {Addrs: []string{"host:6379"}},
		"redis://host/":                                {Addrs: []string{"host:6379"}},
		"redis://host:7/3":                             {Addrs: []string{"host:7"}, DB: 3},
		"redis://[::1]":                                {Addrs: []string{"[::1]:6379"}},
		"redis://[2001:db8::1]:7":                      {Addrs: []string{"[2001:db8::1]:7"}},
		"redis://:pw@host":                             {Addrs: []string{"host:6379"}, Password: "pw"},
		"redis://app:p%40%2F%3F%23%25:@host/1":         {Addrs: []string{"host:6379"}, User: "app", Password: "p@/?#%:", DB: 1},
		"redis://app:p@w@host":                         {Addrs: []string{"host:6379"}, User: "app", Password: "p@w"},
		"redis://a:1,b:2/4?sentinel=main":              {Addrs: []string{"a:1", "b:2"}, Sentinel: "main", DB: 4},
		"redis://a?sentinel=main&sentinel_password=sp": {Addrs: []string{"a:26379"}, Sentinel: "main", SentinelPassword: "sp"},
		"redis://app:pw@a,b:7?sentinel=main&sentinel_user=su&sentinel_password=s%26p": {
			Addrs: []string{"a:26379", "b:7"}, User: "app", Password: "pw", Sentinel: "main", SentinelUser: "su", SentinelPassword: "s&p"},
		"redis://a:1,b:2,c?cluster=true":                           {Addrs: []string{"a:1", "b:2", "c:6379"}, Cluster: true},
		"redis://a/0?cluster=true&pool_size=7":                     {Addrs: []string{"a:6379"}, Cluster: true, PoolSize: 7},
		"redis://a?cluster=false":                                  {Addrs: []string{"a:6379"}},
		"rediss://a:6380":                                          {Addrs: []string{"a:6380"}, TLS: true},
		"rediss://a,b?cluster=true&tls_server_name=cache.internal": {Addrs: []string{"a:6379", "b:6379"}, Cluster: true, TLS: true, ServerName: "cache.internal"},
	} {
		o, err := redis.ParseURL(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		got := want{
			Addrs: o.Addrs, User: o.Username, Password: o.Password, DB: o.DB, Sentinel: o.MasterName,
			SentinelUser: o.SentinelUsername, SentinelPassword: o.SentinelPassword, Cluster: o.IsClusterMode, PoolSize: o.PoolSize,
			TLS: o.TLSConfig != nil,
		}
		if got.TLS {
			got.ServerName = o.TLSConfig.ServerName
		}
		if !reflect.DeepEqual(got, w) {
			t.Errorf("%s is\n%+v, want\n%+v", url, got, w)
		}
		s, err := redis.Open(redis.Config{URL: url})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: Close: %v", url, err)
		}
	}
}

// The user info of all bad URLs, and no error may say any of it.
const secretUser, secretPassword = "u53rn4me", "p4ssw0rd"

func TestBadURLs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const user = secretUser + ":" + secretPassword + "@"
	for url, field := range map[string]string{
		"":                                      "redis",
		"localhost:6379":                        "redis",
		"http://" + user + "host":               "redis",
		"REDIS://" + user + "host":              "redis",
		"redis://":                              "redis",
		"redis://" + user:                       "redis",
		"redis:///0":                            "redis",
		"redis://" + user + ":6379":             "redis",
		"redis://" + user + "host:":             "redis",
		"redis://" + user + "host:port":         "redis",
		"redis://" + user + "host:65536":        "redis",
		"redis://" + user + "host:0":            "redis",
		"redis://" + user + "::1":               "redis",
		"redis://" + user + "[::1":              "redis",
		"redis://" + user + "ho st":             "redis",
		"redis://" + user + "a,,b?cluster=true": "redis",
		"redis://" + user + "a,b":               "redis",
		"redis://" + secretUser + "@host":       "redis",
		"redis://" + secretUser + ":" + secretPassword + "%@host":                                 "redis",
		"redis://" + secretUser + ":/" + secretPassword + "@host":                                 "redis",
		"redis://" + secretUser + ":?" + secretPassword + "=@host":                                "redis",
		"redis://" + secretUser + ":6379?" + secretPassword + "=1@host":                           "redis",
		"redis://" + secretUser + ":6379/" + secretPassword + "@host":                             "redis",
		"redis://" + secretUser + ":#" + secretPassword + "@host":                                 "redis",
		"redis://" + user + "host?a=%zz":                                                          "redis",
		"redis://" + user + "host/one":                                                            "database",
		"redis://" + user + "host/-1":                                                             "database",
		"redis://" + user + "host/0/1":                                                            "database",
		"redis://" + user + "a/1?cluster=true":                                                    "database",
		"redis://" + user + "a?cluster=true&sentinel=main":                                        "cluster",
		"redis://" + user + "a?cluster=yes":                                                       "cluster",
		"redis://" + user + "a?sentinel=":                                                         "sentinel",
		"redis://" + user + "a?sentinel_password=" + secretPassword:                               "sentinel",
		"redis://" + user + "a?sentinel_user=" + secretUser:                                       "sentinel",
		"redis://" + user + "a?sentinel=m&sentinel_user=" + secretUser:                            "sentinel_password",
		"redis://" + user + "a?sentinel=m&sentinel=n":                                             "sentinel",
		"redis://" + user + "a?pool_size=0":                                                       "pool_size",
		"redis://" + user + "a?pool_size=many":                                                    "pool_size",
		"redis://" + user + "a?pool_size=10001":                                                   "pool_size",
		"redis://" + user + "a?poolsize=" + secretPassword:                                        "poolsize",
		"redis://" + user + "a?tls_ca=/x":                                                         "tls_ca",
		"redis://" + user + "a?tls_server_name=x":                                                 "tls_server_name",
		"rediss://" + user + "a?tls_ca=" + filepath.Join(dir, "none"):                             "tls_ca",
		"rediss://" + user + "a?tls_ca=" + empty:                                                  "tls_ca",
		"rediss://" + user + "a?tls_cert=" + empty:                                                "tls_cert",
		"rediss://" + user + "a?tls_key=" + empty:                                                 "tls_cert",
		"rediss://" + user + "a?tls_key=" + empty + "&tls_cert=" + empty:                          "tls_cert",
		"rediss://" + user + "a?tls_insecure=true":                                                "tls_insecure",
		"redis://" + user + "a?sentinel=m&sentinel_password=" + secretPassword + "&no_such=param": "no_such",
	} {
		s, err := redis.Open(redis.Config{URL: url})
		if err == nil {
			_ = s.Close()
			t.Errorf("%q was accepted", url)
			continue
		}
		e, ok := err.(*flashgate.Error)
		if !ok || e.Code != flashgate.CodeInvalid || e.Field != field || e.Message == "" {
			t.Errorf("%q: %v, want CodeInvalid of %q", url, err, field)
		}
		if strings.Contains(err.Error(), secretUser) || strings.Contains(err.Error(), secretPassword) {
			t.Errorf("the error of %q gives a secret away: %v", url, err)
		}
		if strings.Contains(err.Error(), "%!") {
			t.Errorf("%q: the message is not formatted: %v", url, err)
		}
	}
}

func TestBadPrefix(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"{x}", "a b", "a*", "a:b", "ä", strings.Repeat("x", 65)} {
		if _, err := redis.Open(redis.Config{URL: "redis://host", Prefix: prefix}); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}
