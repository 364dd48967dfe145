package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// pageSize is that of the page in the groups of the cache: 10 KB.
const pageSize = 10 << 10

// page is what every row of those groups answers with. It is text that any configuration
// language takes as it is.
var page = bytes.Repeat([]byte("All that a flash sale shows is this.\n"), pageSize/37+1)[:pageSize]

// pageTag is the page's entity tag at the origin.
const pageTag = `"flashgate-bench"`

// pageFile is the page's name where a server reads it from a folder.
const pageFile = "index.txt"

// origin is the site behind the caches. They ask it once and then no more, so it is not
// measured.
type origin struct {
	server   *http.Server
	listener net.Listener
	folder   string // holds the page as a file
}

func startOrigin(folder string) (*origin, error) {
	folder = filepath.Join(folder, "site")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, pageFile), page, 0o644); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{listener: listener, folder: folder, server: &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "text/plain; charset=utf-8")
			h.Set("Content-Length", strconv.Itoa(len(page)))
			h.Set("Cache-Control", "max-age=86400")
			h.Set("Etag", pageTag)
			_, _ = w.Write(page) // a cache that went away is missed by nobody
		}),
	}}
	go func() { _ = o.server.Serve(listener) }() // until close
	return o, nil
}

func (o *origin) address() string { return o.listener.Addr().String() }

func (o *origin) close() error {
	if o == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := o.server.Shutdown(ctx); err != nil {
		return errors.Join(err, o.server.Close())
	}
	return nil
}

// How the rows of the cache answer.
const (
	answerPage   = "respond <<END\nPAGE\nEND"
	proxyPage    = "reverse_proxy ORIGIN"
	filePage     = "root ROOT\nrewrite /" + pageFile + "\nfile_server"
	nginxFile    = "root ROOT;\ntry_files /" + pageFile + " =404;"
	nginxProxy   = "proxy_pass http://ORIGIN;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_cache pages;\n"
	nginxPages   = "proxy_cache_path pages levels=1:2 keys_zone=pages:10m max_size=256m inactive=1d;"
	pageCache    = "page_cache"
	cacheHandler = "cache"
)

// Names of rows that goals speak of.
const (
	cache      = "page_cache"
	otherCache = "cache-handler"
	nginxCache = "nginx proxy_cache"
)

// pageGroups measure the cache: hits of one page, and answers to who has it already.
func pageGroups() []group {
	return []group{
		{name: "page", title: "10 KB page, a hit", answer: page, rows: []row{
			{name: bare, server: caddyServer, last: answerPage},
			{name: cache, server: caddyServer, site: pageCache, last: proxyPage},
			{name: "file_server", server: caddyServer, last: filePage},
			{name: otherCache, server: caddyServer, site: cacheHandler, global: "cache {\n\tttl 1d\n}", last: proxyPage},
			{name: nginxBare, server: nginxServer, last: nginxFile},
			{name: nginxCache, server: nginxServer, global: nginxPages, last: nginxProxy},
			{name: "Varnish", server: varnishServer},
		}},
		{name: "304", title: "10 KB page, the client has it", traffic: traffic{tag: true}, rows: []row{
			{name: bare, server: caddyServer, last: "respond 304"},
			{name: cache, server: caddyServer, site: pageCache, last: proxyPage},
			{name: nginxCache, server: nginxServer, global: nginxPages, last: nginxProxy},
			{name: "Varnish", server: varnishServer},
		}},
	}
}
