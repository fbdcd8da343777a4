// Package client speaks jetway.v1 from the other side: it publishes,
// subscribes and works, over one WebSocket connection. The command line, the
// tests and the benchmarks use it.
//
//	c, err := client.Dial(ctx, "ws://127.0.0.1:8080/ws", client.Options{})
//	ack, err := c.Publish(ctx, "events.chat.1", []byte(`"hi"`), client.PubOptions{})
//	sub, err := c.Subscribe(ctx, "events.chat.>", client.SubOptions{From: "first"})
//	m, err := sub.Next(ctx)
//
// [Follow] does what a program that runs for long wants: it reconnects, and
// goes on after the last event that it has handed out. [Work] is the same for
// jobs: it hands them out, keeps their leases, and settles them.
//
// Nothing grows without a bound. Calls wait when [Options.MaxPending] answers
// are outstanding. A subscription that is not read fills its buffer, and then
// the client stops reading the connection, for all its subscriptions and for
// answers too; the server sees a slow client. So read every subscription on a
// goroutine of its own, or do not wait for answers where events are read.
//
// Concurrency: all methods of Client and Sub may be called concurrently. A
// client has two goroutines, one that reads and one that writes what has
// collected meanwhile; Close ends and awaits them.
//
// Errors are *[bridge.Error] as the server sent them, the context's own, or a
// *[ClosedError], which is a bridge.Error "unavailable" too (errors.As).
package client
