#!/bin/sh
# The checks behind `make lint`. Each prints what is wrong; the first that finds
# something ends the run.
set -eu
cd "$(dirname "$0")/.."

files=$(git ls-files '*.go' | xargs gofmt -l)
if [ -n "$files" ]; then
	echo "not formatted, run gofmt -w:" "$files" >&2
	exit 1
fi

go mod tidy -diff
go vet ./...
go tool staticcheck ./...

# The bench is a module of its own; its staticcheck is this one's.
staticcheck=$(go tool -n staticcheck)
(cd bench && go mod tidy -diff && go vet ./... && "$staticcheck" ./...)

long=$(git ls-files '*.go' | xargs wc -l | awk '$2 != "total" && $1 > 400 { print $2 " (" $1 " lines)" }')
if [ -n "$long" ]; then
	echo "over 400 lines, split by concept:" "$long" >&2
	exit 1
fi

waiting=$(git grep -nE '\btime\.Sleep\(|\bt\.Skip(f|Now)?\(' -- '*_test.go' || true)
if [ -n "$waiting" ]; then
	echo "tests neither sleep nor skip:" >&2
	echo "$waiting" >&2
	exit 1
fi
for script in .ci/run deploy/*.sh deploy/model/*.sh; do
	sh -n "$script"
done
echo "lint: clean"
