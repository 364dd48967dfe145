package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"flashgate"
	"flashgate/internal/fleet"
	"flashgate/internal/servers"
)

// demo is an embedded demo of this run's, with data of its own.
type demo struct {
	site    *site
	process *fleet.Process
	log     *os.File
}

// startDemo starts one on free ports. caddyfile is relative to the project's folder;
// empty: the project's.
func startDemo(ctx context.Context, r *runner, caddyfile string) (*demo, error) {
	if err := r.programs.build(ctx, "./deploy/demo"); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(r.tmp, "demo")
	if err != nil {
		return nil, err
	}
	// The demo loads the Caddyfile of the folder that it runs in.
	workdir, name := r.settings.root, demoName
	if caddyfile != "" {
		file := caddyfile
		if !filepath.IsAbs(file) {
			file = filepath.Join(r.settings.root, caddyfile)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("the demo's Caddyfile: %w", err)
		}
		if err := os.WriteFile(filepath.Join(folder, "Caddyfile"), text, 0o600); err != nil {
			return nil, err
		}
		workdir, name = folder, demoName+":"+caddyfile
	}
	log, err := os.OpenFile(filepath.Join(r.settings.out, "demo.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	d := &demo{log: log, site: &site{name: name, own: true, key: r.settings.key, data: filepath.Join(folder, "data")}}
	if d.site.key == "" {
		d.site.key = flashgate.NewKey()
	}
	// A port may be taken between being found free and being listened on.
	for try := 0; ; try++ {
		if err = d.start(ctx, r, workdir, folder); err == nil {
			return d, nil
		}
		if try == 4 || !strings.Contains(d.process.Tail(), "cannot listen") {
			return nil, errors.Join(fmt.Errorf("the demo did not start: %w", err), log.Close())
		}
	}
}

func (d *demo) start(ctx context.Context, r *runner, workdir, folder string) error {
	var addr [4]string
	for i := range addr {
		port, err := servers.FreePort()
		if err != nil {
			return err
		}
		addr[i] = fmt.Sprint("127.0.0.1:", port)
	}
	d.site.url = &url.URL{Scheme: "http", Host: addr[0]}
	d.process = &fleet.Process{
		Name: demoName, Program: r.programs.path("demo"), Dir: workdir, Output: d.log, Ready: d.site.url.String() + "/readyz",
		Env: environment("FLASHGATE_ADDR="+addr[0], "FLASHGATE_ADMIN="+addr[1], "SHOP_ADDR="+addr[2], "WORKER_ADDR="+addr[3],
			"FLASHGATE_DATA="+d.site.data, "FLASHGATE_LOADTEST_KEY="+d.site.key, "HOME="+folder),
	}
	err := d.process.Start(ctx)
	if err != nil {
		err = errors.Join(err, d.process.Stop(patience))
	}
	return err
}

func (d *demo) stop() error {
	return errors.Join(d.process.Stop(patience), d.log.Close())
}
