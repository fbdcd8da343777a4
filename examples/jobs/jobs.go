// Package jobs holds the example of a work queue: a page that submits images to
// be resized and follows what becomes of them, and a page that is a worker. The
// program serves them at "/jobs" and "/jobs/worker" in development. A worker in
// Go, which needs nothing of Jetway, is in the directory worker.
//
// The pages connect to /ws of the host that served them, need no build step
// and load nothing from elsewhere. They are the same bytes for everybody.
package jobs

import _ "embed"

// Page is index.html, UTF-8: it submits jobs. Do not change it.
//
//go:embed index.html
var Page []byte

// Worker is worker.html, UTF-8: a tab that works. It starts WorkerScript, by
// its path "/jobs/worker.js". Do not change it.
//
//go:embed worker.html
var Worker []byte

// WorkerScript is worker.js, UTF-8: the part of Worker that works, in a thread
// of its own. Do not change it.
//
//go:embed worker.js
var WorkerScript []byte
