// Package native speaks jetway.v1, the protocol of GET /ws that can be typed
// by hand: one flat JSON object per WebSocket text message, with exactly one
// verb in it.
//
// # Wire format
//
// [Parse] reads one message of a client into a [Frame]; the Append functions
// write the server's. They do no I/O, start no goroutine and hold no state, so
// that they can be fuzzed and measured by themselves. What a client wrote as
// "data" is never taken apart and put together again: its bytes go to NATS as
// they are, and a payload from NATS that is JSON goes to clients as it is.
//
// [Encoder] writes events for the bridge. The part of an event's frame that is
// the same for all clients, payload included, is made once per event (see
// [bridge.Event.Encoded]); per delivery only the tail is written: sid, pos and
// lag. Nothing is allocated per delivery.
//
// Invariants, held by the fuzz tests:
//   - a message is accepted only if it is JSON as encoding/json sees it, nests
//     no deeper than 64, and has one verb;
//   - Frame.Data is a slice of the message, byte for byte;
//   - whatever the server writes is UTF-8 and JSON, whatever the subject, the
//     headers or the payload are;
//   - an error that a client causes has a code of the contract, and a hint.
package native
