package brokertest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var payloadTests = []test{
	{name: "payloads", run: testPayloads},
	{name: "headers", run: testHeaders},
	{name: "subjects", run: testSubjects},
}

func testPayloads(r *rig) {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	payloads := [][]byte{
		nil, {}, {0}, []byte("hello"), []byte("\r\n"), []byte("+OK\r\nPING\r\n"), []byte("NATS/1.0\r\n\r\n"),
		[]byte(`{"a":"ä€😀"}`), {0xff, 0xfe}, everyByte, bytes.Repeat(everyByte, 1_000_000/256),
	}
	f, l := r.follow(1), r.listen("live.a")
	for i, data := range payloads {
		r.publish(&bridge.Publication{Subject: "events.a", Data: data})
		r.ok("publish", r.start(&bridge.Publication{Slot: -1, Subject: "live.a", Data: data})()[0].err)
		l.until(i + 1)
	}
	f.untilSeq(uint64(len(payloads)))
	read, _ := r.read(bridge.ReadRequest{MaxMessages: 3})
	filtered, _ := r.read(bridge.ReadRequest{MaxMessages: 3, Filter: "events.a"})
	bySeq, err := r.ReadSeqs(r.ctx, 0, span(1, uint64(len(payloads))))
	r.ok("ReadSeqs", err)
	for way, events := range map[string][]*bridge.Event{
		"Follow": f.events(), "Listen": l.heard(), "Read": read, "Read with a filter": filtered, "ReadSeqs": bySeq,
	} {
		equal(r, "events by "+way, len(events), len(payloads))
		for i, e := range events {
			equal(r, fmt.Sprintf("payload %d by %s", i, way), bytes.Equal(e.Data, payloads[i]), true)
		}
	}
}

// testHeaders publishes with all that a broker may turn into headers of its
// own, and wants none of that back. NATS clients hold headers in a map: fields
// come back in the order of their names, those of one name in their own.
func testHeaders(r *rig) {
	p := keyed("the-id", "events.a", "x")
	p.TTL = time.Hour
	p.Expect = new(uint64)
	p.Head = []bridge.Field{
		{Name: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{Name: "x-lower", Value: "kept as it is"},
		{Name: "Jetway-User", Value: "ann"},
		{Name: "X-Twice", Value: "2"},
		{Name: "X-Twice", Value: "1"},
		{Name: "X-Empty", Value: ""},
		{Name: "X-Long", Value: strings.Repeat("v", 2000)},
	}
	want := []bridge.Field{p.Head[2], p.Head[5], p.Head[6], p.Head[3], p.Head[4], p.Head[0], p.Head[1]}
	f := r.follow(1)
	r.publish(p, to("events.a", "no headers"))
	f.untilSeq(2)
	read, _ := r.read(bridge.ReadRequest{MaxMessages: 10})
	filtered, _ := r.read(bridge.ReadRequest{MaxMessages: 10, Filter: "events.*"})
	bySeq, err := r.ReadSeqs(r.ctx, 0, []uint64{1, 2})
	r.ok("ReadSeqs", err)
	for way, events := range map[string][]*bridge.Event{
		"Follow": f.events(), "Read": read, "Read with a filter": filtered, "ReadSeqs": bySeq,
	} {
		equal(r, "events by "+way, len(events), 2)
		same(r, "headers by "+way, events[0].Head, want)
		equal(r, "headers by "+way, len(events[1].Head), 0)
	}
}

func testSubjects(r *rig) {
	subjects := []string{
		"events.a", "events.A", "events.a-b_c=d", "events.$x", "events.ä.€", "events." + strings.Repeat("x", 400),
		"events" + strings.Repeat(".t", 30),
	}
	for i, subject := range subjects {
		same(r, "sequence", r.publish(to(subject, "x")), []uint64{uint64(i + 1)})
	}
	for i, subject := range subjects {
		r.lastSeq(subject, uint64(i+1))
		events, _ := r.read(bridge.ReadRequest{Filter: subject, MaxMessages: 10})
		equal(r, "events on "+subject, len(events), 1)
		equal(r, "subject", events[0].Subject, subject)
	}
}
