#!/usr/bin/env bash
# All checks, in the order of what fails soonest. The Go tests come last, so
# that the output ends with their own summary; they run even if what comes before
# them has failed, which then decides the exit code.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh

need_go
need_cc
./scripts/lint.sh

e2e=0
if [ -x e2e/run.sh ]; then
	need_e2e
	echo "== e2e"
	./e2e/run.sh </dev/null || e2e=$?
	[ "$e2e" = 0 ] || echo "e2e: failed with $e2e, see above; the Go tests follow" >&2
fi

bench=0
echo "== go test -race ./... in bench"
(cd bench && go test -race -timeout 5m ./... </dev/null) || bench=$?
[ "$bench" = 0 ] || echo "bench: failed with $bench, see above; the other Go tests follow" >&2

echo "== what a publish and a delivery cost"
go test -run '^TestCosts$' ./e2e </dev/null || bench=$?

fuzz=0
./scripts/fuzz.sh "${FUZZTIME:-30s}" ./gateway/native:FuzzParse ./gateway/engineio:FuzzPackets \
	./gateway/socketio:FuzzDecode ./bridge:FuzzTemplate ./gateway/token:FuzzVerify ./config:FuzzLoad </dev/null || fuzz=$?

echo "== go test -race ./..."
go test -race -timeout 20m ./... </dev/null
exit $((e2e ? e2e : bench ? bench : fuzz))
