package websock

// Most clients say who they are and what they want, and from then on listen.
// What they want is done on a stack that grows for it to twice the size or
// more, and a goroutine keeps its stack. So the first messages of a client are
// read and handled on stacks of their own, which end with them: its goroutine
// does nothing but wait, on the 2 KiB that it began with.
const settling = 8

// Next waits for the next message and has it handled; see [Conn.ReadMessage],
// whose results handle gets. It returns what handle does.
func (c *Conn) Next(handle func(msg []byte, text bool, err error) (more bool)) (more bool) {
	if c.settled == settling {
		msg, text, err := c.ReadMessage(nil)
		return handle(msg, text, err)
	}
	if c.readErr == nil {
		c.setReadDeadline(c.idleTimeout)
	}
	for done := false; !done; {
		c.wait()
		more = Aside(func() bool {
			var msg []byte
			var text bool
			if msg, text, done = c.advance(nil); !done {
				return true
			}
			return handle(msg, text, c.readErr)
		})
	}
	c.settled++
	return more
}

// Aside calls f on a stack of its own, and returns what it does.
func Aside(f func() bool) bool {
	done := make(chan bool)
	go func() { done <- f() }()
	return <-done
}
