package bridge

// Delivery is one event on its way to one subscription.
type Delivery struct {
	Event *Event
	SID   string   // the subscription
	Pos   Position // after this event; nil when no stream stores it
	Lag   uint64   // messages of the stream between this event and the newest
}

// Encoder writes what happens to a client's subscriptions as frames of its
// protocol, framing included. Its methods may be called concurrently.
// It appends whole frames to out, counts them with [Output.EndFrame], and
// keeps neither out nor what the arguments point to.
type Encoder interface {
	Event(out *Output, d *Delivery)
	Live(out *Output, sid string, pos Position)
	Gap(out *Output, sid string, after, next Position)
	End(out *Output, sid, why string) // why: see [Client.Subscribe]
	Job(out *Output, d *JobDelivery)
	Lost(out *Output, lease, why string) // a lease that has ended without its worker
}

// Transport carries a client's frames away. Its methods are called one at a
// time; an error ends the client.
type Transport interface {
	// WriteSome writes what leaves without waiting, and takes it from out, see
	// [Output.Skip]. What is left, all of it perhaps, is for Write.
	WriteSome(out *Output) error
	// Write writes all of out. It may wait, and has a deadline of its own.
	Write(out *Output) error
}
