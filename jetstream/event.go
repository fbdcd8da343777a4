package jetstream

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
)

// fields returns the headers that an event shows, sorted by name: all but
// NATS's own. The answer to a direct get, and a message that was published in
// a batch, carry several of those.
func fields(h nats.Header) []bridge.Field {
	var list []bridge.Field
	for name, values := range h {
		if strings.HasPrefix(name, "Nats-") {
			continue
		}
		for _, v := range values {
			list = append(list, bridge.Field{Name: name, Value: v})
		}
	}
	if len(list) > 1 {
		slices.SortStableFunc(list, func(a, b bridge.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	return list
}

// headers is the reverse of fields. nil for none: a message without headers is
// cheaper all the way.
func headers(list []bridge.Field, extra int) nats.Header {
	if len(list)+extra == 0 {
		return nil
	}
	h := make(nats.Header, len(list)+extra)
	for _, f := range list {
		h[f.Name] = append(h[f.Name], f.Value)
	}
	return h
}

// meta is what the reply subject of a delivered message says.
type meta struct {
	tries   uint64 // how often it was delivered, from 1
	seq     uint64 // in the stream
	dseq    uint64 // in the consumer
	nanos   int64  // when it was stored
	pending uint64 // messages still to come
}

// parseMeta reads a delivered message's reply subject without allocating:
//
//	$JS.ACK.<stream>.<consumer>.<delivered>.<sseq>.<dseq>.<nanos>.<pending>
//	$JS.ACK.<domain>.<account>.<stream>.<consumer>.<delivered>.<sseq>.<dseq>.<nanos>.<pending>[.<random>]
func parseMeta(reply string) (m meta, ok bool) {
	const head = "$JS.ACK."
	if !strings.HasPrefix(reply, head) {
		return m, false
	}
	skip := 2 // stream, consumer
	if strings.Count(reply, ".") > 8 {
		skip = 4
	}
	i := len(head)
	for ; skip > 0; skip-- {
		j := strings.IndexByte(reply[i:], '.')
		if j < 0 {
			return m, false
		}
		i += j + 1
	}
	var n [5]uint64
	for k := range n {
		start := i
		for i < len(reply) && reply[i] >= '0' && reply[i] <= '9' {
			n[k] = n[k]*10 + uint64(reply[i]-'0')
			i++
		}
		if i == start || k < 4 && (i == len(reply) || reply[i] != '.') {
			return m, false
		}
		i++
	}
	return meta{tries: n[0], seq: n[1], dseq: n[2], nanos: int64(n[3]), pending: n[4]}, true
}

// last returns the last value of a header: nats-server appends its own, so a
// publisher cannot pass off one of the same name.
func last(h nats.Header, name string) string {
	v := h[name]
	if len(v) == 0 {
		return ""
	}
	return v[len(v)-1]
}

// gotten makes an event of an answer to a direct get; nil when it is not one.
func gotten(s *bridge.Stream, m *nats.Msg) *bridge.Event {
	seq, err := strconv.ParseUint(last(m.Header, "Nats-Sequence"), 10, 64)
	if err != nil || seq == 0 {
		return nil
	}
	// An unreadable time is no reason to lose the message.
	t, _ := time.Parse(time.RFC3339Nano, last(m.Header, "Nats-Time-Stamp"))
	return &bridge.Event{Subject: last(m.Header, "Nats-Subject"), Stream: s, Seq: seq, Time: t, Head: fields(m.Header), Data: m.Data}
}

// delivered makes an event of a message that a consumer brings.
func delivered(s *bridge.Stream, m *nats.Msg, at meta) *bridge.Event {
	e := &bridge.Event{Subject: m.Subject, Stream: s, Seq: at.seq, Time: time.Unix(0, at.nanos), Data: m.Data}
	if m.Header != nil {
		e.Head = fields(m.Header)
	}
	return e
}

// status returns the status of a control message: 0 for an ordinary one.
func status(m *nats.Msg) int {
	if len(m.Data) != 0 || m.Header == nil {
		return 0
	}
	n, err := strconv.Atoi(m.Header.Get("Status"))
	if err != nil {
		return 0
	}
	return n
}
