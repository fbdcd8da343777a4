# Everything here runs on a machine with Go, node, npm and a C compiler (for
# the race detector). "make test" is what CI runs.

FUZZTIME ?= 30s

.PHONY: build run test lint fuzz conformance bench bench-quick bench-largest bench-go far hostile bench-jobs bench-socketio e2e clean help

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/jetway
	go build -o bin/jetway ./cmd/jetway

run: build ## serve with the defaults, or jetway.yaml if it is here
	./bin/jetway

test: ## all checks: lint, end to end, Go with the race detector
	@./scripts/test.sh

lint: ## gofmt, vet, staticcheck, go.mod
	@./scripts/lint.sh

fuzz: ## every fuzz target for FUZZTIME (30s)
	@./scripts/fuzz.sh $(FUZZTIME)

conformance: ## the WebSocket suite at full size (2 minutes)
	JETWAY_CONFORMANCE=full go test -count 1 -timeout 20m -run '^Test(W01|W05|W17)' ./gateway/...

bench: ## side by side with its peers and the limits (10 to 15 minutes); writes bench/RESULTS.md and plots
	cd bench && go run . -out RESULTS.md -plots plots

bench-quick: ## the same in less than 90 seconds, for ratios; writes bench/out/quick.json
	@mkdir -p bench/out
	cd bench && go run . -quick -json out/quick.json

bench-largest: ## as many idle clients as the machine can hold; prints what they take
	cd bench && go run . -scenario largest -runs 1

bench-go: ## the Go benchmarks, without tests
	go test -run '^$$' -bench . -benchmem ./...

far: ## a crowd far behind, at full size (2 minutes); writes bench/FAR.md
	JETWAY_FAR=$(CURDIR)/bench/FAR.md go test -count 1 -timeout 10m -run '^TestFarFull$$' -v ./e2e

hostile: ## 2,000 hostile clients beside 500 good ones (4 minutes); writes bench/HOSTILE.md
	JETWAY_HOSTILE=$(CURDIR)/bench/HOSTILE.md go test -count 1 -timeout 20m -run '^TestHostileFull$$' -v ./e2e

bench-jobs: ## jobs per second, next to nats.go alone (2 minutes); writes bench/JOBS.md
	JETWAY_JOBS=$(CURDIR)/bench/JOBS.md go test -count 1 -timeout 20m -run '^TestJobRatesFull$$' -v ./e2e

bench-socketio: ## Socket.IO clients, next to the server of Node (5 minutes); writes bench/SOCKETIO.md
	cd bench && go run . -scenario fanout,latency,crowd -peers jetway-sio,jetway-sio-always,node -window 5s -out SOCKETIO.md

e2e: ## real processes and a real browser
	@. ./scripts/need.sh && need_e2e && ./e2e/run.sh

clean: ## what the targets above have made
	rm -rf bin e2e/out bench/out
	go clean -testcache
