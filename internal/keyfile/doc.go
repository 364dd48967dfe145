// Package keyfile gives the signing keys that hold now: those of a setting, of a file that is
// read again when it changes, or of an embedded installation's data folder, so that a site
// that set no keys still has them after a restart. It rotates the keys of a file.
//
// Gateway, shop, worker and their commands call it. It must never import Caddy or an
// adapter.
package keyfile
