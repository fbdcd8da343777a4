#!/usr/bin/env bash
# What can be said without running the code. Says all of it before it fails.
# The versions of the tools are those of go.mod.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh
need_go

failed=0
check() {
	local name=$1
	shift
	"$@" </dev/null || { echo "lint: $name: see above" >&2; failed=1; }
}

formatted() {
	local files
	files=$(find . -name '*.go' -not -path '*/node_modules/*' -exec gofmt -l {} +) || return 1
	[ -z "$files" ] || { printf '%s\n' "$files" "these files are not as gofmt writes them: run gofmt -w on them" >&2; return 1; }
}

# The load generator is a module of its own, and has no tools: those of this one
# are built by now.
bench() {
	local staticcheck status=0
	staticcheck=$(go tool -n staticcheck) || return 1
	(cd bench && go vet ./...) || status=1
	(cd bench && "$staticcheck" ./...) || status=1
	return $status
}

# Every module, whatever it is for.
tidy() {
	local mod status=0
	while read -r mod; do
		(cd "$(dirname "$mod")" && go mod tidy -diff) || { echo "$mod is not tidy: run go mod tidy beside it" >&2; status=1; }
	done < <(find . -name go.mod -not -path '*/node_modules/*')
	return $status
}

echo "== lint"
check gofmt formatted
check "go vet" go vet ./...
check staticcheck go tool staticcheck ./...
check "vet and staticcheck of bench" bench
check "go mod tidy" tidy
exit $failed
