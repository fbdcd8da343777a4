#!/usr/bin/env bash
# fuzz.sh [TIME [TARGET...]]: runs each fuzz target of the module, or those that
# are named, for TIME (30s). A TARGET is a package and a function:
# ./bridge:FuzzTemplate. All are run, also after one that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh
need_go

time=${1:-30s}
targets=("${@:2}")
if [ ${#targets[@]} = 0 ]; then
	while read -r pkg; do
		while read -r name; do
			targets+=("$pkg:$name")
		done < <(go test -list '^Fuzz' "$pkg" </dev/null | grep '^Fuzz' || true)
	done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)
fi
[ ${#targets[@]} != 0 ] || fail "there is no fuzz target"

# Before Go 1.27, a run that ends while an input is tried may say that it failed
# with "context deadline exceeded" alone (go.dev/issue/75804). A finding says more.
only_deadline() {
	awk '/^--- FAIL: /{failed=1; next}
		failed && /^FAIL|^exit status/{next}
		failed && NF{lines++; if ($0 !~ /^ *context deadline exceeded$/) other=1}
		END{exit !(failed && lines==1 && !other)}' "$1"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=()
for target in "${targets[@]}"; do
	pkg=${target%:*} name=${target##*:}
	echo "== fuzz $pkg $name"
	go test -list "^$name\$" "$pkg" </dev/null | grep "^$name\$" >/dev/null || fail "$pkg has no $name"
	if ! go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$pkg" </dev/null 2>&1 | tee "$log"; then
		if only_deadline "$log"; then
			echo "the end of the time, not a finding: go.dev/issue/75804"
		else
			failed+=("$target")
		fi
	fi
done
[ ${#failed[@]} = 0 ] || fail "failed, see above; the input that fails is in the testdata/fuzz of its package, commit it with the fix: ${failed[*]}"
