// Package browser holds the browser example: one page, without a build step
// and without external resources, that speaks jetway.v1. The program serves it
// at "/" in development.
//
// The page connects to /ws of the host that served it. Its state is in the
// browser, so it is the same bytes for everybody and may be cached.
package browser

import _ "embed"

// Page is index.html, UTF-8. Do not change it.
//
//go:embed index.html
var Page []byte
