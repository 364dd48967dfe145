#!/bin/sh
# Runs every fuzz target of the module for the given time each (default 10s).
set -eu
cd "$(dirname "$0")/.."
time=${1:-10s}
count=0
for file in $(git grep -lE '^func Fuzz[A-Z]' -- '*_test.go'); do
	for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' "$file"); do
		echo "$(dirname "$file") $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")"
		count=$((count + 1))
	done
done
echo "fuzz: $count targets, $time each, nothing found"
