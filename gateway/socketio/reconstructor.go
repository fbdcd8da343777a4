package socketio

// DefaultMaxBytes is how large a packet with its attachments may be, in bytes,
// unless said otherwise: as much as the reference allows for each of them.
const DefaultMaxBytes = 1_000_000

// Reconstructor puts packets and the attachments that follow them together
// again (Socket.IO protocol v5, "Binary event"). The zero value is ready. It
// is for one connection and not safe for concurrent use.
type Reconstructor struct {
	// MaxBytes bounds the text of a packet and its attachments, in sum: what
	// waits for the rest of a packet is held. 0 means DefaultMaxBytes.
	MaxBytes int

	pending *pending // nil unless attachments are missing
}

// pending is a packet whose attachments are not all there.
type pending struct {
	packet Packet
	need   int
	size   int
}

// Pending reports whether a packet waits for attachments.
func (r *Reconstructor) Pending() bool { return r.pending != nil }

// Text takes a text message. whole is false when attachments are to follow.
// Besides the errors of [Decode] it returns [ErrTooBig], and [ErrAttachments]
// when it should have been an attachment, for whatever namespace the text is.
// The packet keeps b.
func (r *Reconstructor) Text(b []byte) (p Packet, whole bool, err error) {
	switch {
	case r.pending != nil:
		return Packet{}, false, ErrAttachments
	case len(b) > r.maxBytes():
		return Packet{}, false, ErrTooBig
	}
	p, n, err := Decode(b)
	if err != nil || n == 0 {
		return p, err == nil, err
	}
	r.pending = &pending{packet: p, need: n, size: len(b)}
	return Packet{}, false, nil
}

// Binary takes a binary message. whole is false when more are to follow. It
// returns [ErrAttachments] when no packet waits for one, and [ErrTooBig]. The
// packet keeps b.
func (r *Reconstructor) Binary(b []byte) (p Packet, whole bool, err error) {
	w := r.pending
	if w == nil {
		return Packet{}, false, ErrAttachments
	}
	if w.size += len(b); w.size > r.maxBytes() {
		return Packet{}, false, ErrTooBig
	}
	w.packet.Attachments = append(w.packet.Attachments, b)
	if len(w.packet.Attachments) < w.need {
		return Packet{}, false, nil
	}
	r.pending = nil
	return w.packet, true, nil
}

func (r *Reconstructor) maxBytes() int {
	if r.MaxBytes > 0 {
		return r.MaxBytes
	}
	return DefaultMaxBytes
}
