// Package jsontext scans and writes JSON text (RFC 8259) without building
// values of it. Protocols that pass a client's JSON on byte for byte need to
// know that it is JSON, how deep it nests and where its parts are, and nothing
// else of it. The package does no I/O and holds no state.
package jsontext
