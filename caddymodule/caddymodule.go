// Package caddymodule is the one path that a site imports:
//
//	xcaddy build --with flashgate/caddymodule
//
// It registers every module and directive of flashgate and their order. Each
// directive has a package of its own below; they share the app and nothing else.
// The demo's main imports it too. It must never import the shop or the worker.
package caddymodule

import (
	_ "flashgate/caddymodule/accesslimit"
	_ "flashgate/caddymodule/app" // the global option flashgate
	_ "flashgate/caddymodule/captcha"
	_ "flashgate/caddymodule/command"
	_ "flashgate/caddymodule/health"
	_ "flashgate/caddymodule/hiddenpath"
	_ "flashgate/caddymodule/pagecache"
	_ "flashgate/caddymodule/session"
	_ "flashgate/caddymodule/stockgate"
)
