#!/bin/sh
# Builds jetway and runs the end-to-end tests with real processes and a real browser.
#   ./run.sh                      all of them
#   ./run.sh page.test.mjs        these files
# JETWAY_BIN takes a binary (or a command) instead of building one, CHROMIUM another browser.
set -eu
cd "$(dirname "$0")"

CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$CHROMIUM" ]; then
	echo "run.sh: no Chromium at $CHROMIUM; set CHROMIUM to one" >&2
	exit 1
fi
export CHROMIUM

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

if [ -z "${JETWAY_BIN:-}" ]; then
	(cd .. && go build -o "$tmp/jetway" ./cmd/jetway)
	JETWAY_BIN=$tmp/jetway
fi
export JETWAY_BIN
(cd .. && go build -o "$tmp/jobs-worker" ./examples/jobs/worker)
JOBS_WORKER_BIN=$tmp/jobs-worker
export JOBS_WORKER_BIN

[ -d node_modules ] || npm ci --no-audit --no-fund

[ $# -gt 0 ] || set -- *.test.mjs
# One file at a time: the tests measure a machine that they should not overload.
node --test --test-concurrency=1 "$@"
