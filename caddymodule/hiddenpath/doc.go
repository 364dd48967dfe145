// Package hiddenpath is the directive hidden_path: an address that exists only for
// the visitor who asked for it, only for a while. `mint` hands out a token; `guard`
// takes it off the address again and lets nothing pass that has none.
//
// caddymodule imports it; the directive stock_gate reads its Grant. It must never
// import another directive.
package hiddenpath
