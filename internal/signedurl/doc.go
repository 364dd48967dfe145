// Package signedurl signs addresses and verifies them: whoever has such an address may
// ask for what it names, until it expires, and for nothing else. nginx calls it
// secure_link, S3 a presigned URL.
//
// The signature is one parameter of the query. It says of itself what it binds, so one
// guard takes links that are bound to an address and links that are not.
//
// The directive hidden_path, the matcher signed_path and the command `sign url` call it.
// It must never import Caddy or an adapter.
package signedurl
