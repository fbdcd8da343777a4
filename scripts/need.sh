# Sourced by the other scripts: finds or installs what the tests need beside
# Go. Each function ends the script with one sentence when it cannot.

fail() {
	echo "$0: $*" >&2
	exit 1
}

# apt_install PACKAGE...: on Debian and its kin, as root; else returns 1.
apt_install() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	echo "installing $*" >&2
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } </dev/null >&2
}

need_go() {
	command -v go >/dev/null || fail "Go is missing: install the version that go.mod names from https://go.dev/dl"
}

# The race detector needs cgo, and cgo a C compiler.
need_cc() {
	cc=$(go env CC)
	command -v "${cc%% *}" >/dev/null || { apt_install gcc libc6-dev && command -v gcc >/dev/null; } ||
		fail "a C compiler is missing, which go test -race needs: install gcc, or run this as root on Debian"
	export CGO_ENABLED=1
}

# find_chromium sets CHROMIUM to a browser, or returns 1.
find_chromium() {
	for browser in "${CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome; do
		[ -n "$browser" ] || continue
		if CHROMIUM=$(command -v "$browser"); then
			export CHROMIUM
			return 0
		fi
	done
	return 1
}

need_e2e() {
	command -v node >/dev/null && command -v npm >/dev/null ||
		fail "node or npm is missing, which the end-to-end tests need: install node 20 or later"
	find_chromium || { apt_install chromium && find_chromium; } ||
		fail "Chromium is missing, which the end-to-end tests need: install it and set CHROMIUM to it, or run this as root on Debian"
	if [ -f e2e/package-lock.json ]; then
		(cd e2e && npm ci --no-audit --no-fund --loglevel=error </dev/null >&2) ||
			fail "npm ci failed in e2e/: see above"
	fi
}
