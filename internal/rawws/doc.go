// Package rawws is a WebSocket client for tests, which has to be able to do
// what no client should, and to see what no client forgives.
//
// What it sends is up to the test: each bit of a frame ([Frame]), where the
// bytes are cut ([Conn.SendChopped]), what the handshake says ([Conn.Open]). What
// it reads must be right in every detail: a server that masks, that encodes a
// length in more bytes than it needs, that sets a reserved bit, cuts a control
// frame, sends text that is not UTF-8 or a close code that must not be sent, or
// goes on after its close frame, is told so by [ErrViolation].
//
// It works over TCP, and over a [Listener] in memory, which takes every write
// for a read of its own and lives in bubbles of testing/synctest.
package rawws
