package sio

// Internals for table tests.
var (
	Payload   = payload
	Arguments = arguments
)
