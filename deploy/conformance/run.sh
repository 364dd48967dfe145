#!/bin/sh
# Builds a Caddy and runs the public suite http-tests/cache-tests against it: the one in
# the folder SUITE, its dependencies installed, or else its release on npm.
set -eu
cd "$(dirname "$0")/../.."
suite=${SUITE:-}
release=
if [ -z "$suite" ]; then
	npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix bin/conformance http-cache-tests@0.4.5 >&2
	suite=bin/conformance/node_modules/http-cache-tests
	release=-npm-release
fi
make --silent caddy >&2
go build -o bin/flashgate-conformance ./deploy/conformance
exec bin/flashgate-conformance -caddy bin/caddy -suite "$suite" $release
