#!/usr/bin/env bash
# fuzz.sh [TIME]: runs each fuzz target of the module for TIME (30s).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh
need_go

time=${1:-30s}
found=0
while read -r pkg; do
	while read -r target; do
		found=1
		echo "== $pkg $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$pkg" </dev/null
	done < <(go test -list '^Fuzz' "$pkg" </dev/null | grep '^Fuzz' || true)
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)
[ "$found" = 1 ] || fail "there is no fuzz target"
