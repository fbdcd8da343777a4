//go:build race

package e2e

// racing: the race detector allocates, and makes pools forget.
const racing = true
