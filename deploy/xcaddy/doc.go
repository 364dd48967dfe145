// Package xcaddy has no code of its own. Its test builds a Caddy from xcaddy.env as
// `make caddy` does, and shows that each directive works alone in it, in front of a
// foreign origin, without our shop, our worker or any server.
package xcaddy
