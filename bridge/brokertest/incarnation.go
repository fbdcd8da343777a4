package brokertest

import (
	"github.com/jetway-io/jetway/bridge"
)

var incarnationTests = []test{
	{name: "a recreated stream has another tag and counts anew", run: testRecreate},
	{name: "followers are told of a recreated stream", run: testRecreateFollow},
	{name: "ids and durables end with the stream", run: testRecreateForgets},
	{name: "followers are told of a removed stream", run: testRemove},
}

// recreate makes the stream anew and waits until the broker knows.
func (r *rig) recreate() (tag string) {
	r.Helper()
	before := r.Streams()[0].Tag
	r.Recreate(0)
	r.poll("the stream has another tag", func() bool {
		tag = r.Streams()[0].Tag
		return tag != before
	})
	return tag
}

func testRecreate(r *rig) {
	seen := map[string]bool{r.Streams()[0].Tag: true}
	for range 3 {
		r.fill(5, "events.a")
		tag := r.recreate()
		if seen[tag] {
			r.Fatalf("the tag %q is used again", tag)
		}
		seen[tag] = true
		s := r.state()
		equal(r, "messages", s.Messages, 0)
		equal(r, "last", s.Last, 0)
		equal(r, "tag in the state", s.Stream.Tag, tag)
		equal(r, "slot", s.Stream.Slot, 0)
		equal(r, "number of streams", len(r.Streams()), 1)
		got := r.start(to("events.b", "new"))()[0]
		r.ok("publish", got.err)
		equal(r, "sequence", got.Seq, 1)
		equal(r, "tag in the receipt", got.Stream.Tag, tag)
		b := r.page(bridge.ReadRequest{MaxMessages: 10})
		same(r, "what is read", seqsOf(b.Events), []uint64{1})
		equal(r, "tag in the batch", b.Stream.Tag, tag)
	}
}

func testRecreateFollow(r *rig) {
	r.fill(5, "events.a")
	f := r.follow(1)
	f.untilReached(5)
	tag := r.recreate()
	f.until("Renewed", func() bool { return len(f.all("Renewed")) > 0 })
	equal(r, "tag in Renewed", f.all("Renewed")[0].stream.Tag, tag)
	r.fill(3, "events.b")
	f.until("the new events", func() bool { return len(f.all("Append")) == 8 })
	got := f.events()
	same(r, "sequences", seqsOf(got), []uint64{1, 2, 3, 4, 5, 1, 2, 3})
	for _, e := range got[5:] {
		equal(r, "tag of a new event", e.Stream.Tag, tag)
		equal(r, "subject of a new event", e.Subject, "events.b")
	}
	equal(r, "calls of Renewed", len(f.all("Renewed")), 1)
}

func testRecreateForgets(r *rig) {
	d := bridge.Durable{User: "ann", Name: "phone", Filter: "events.>"}
	r.publish(keyed("k", "events.a", "1"))
	_, _, err := r.OpenDurable(r.ctx, 0, d, 1)
	r.ok("OpenDurable", err)
	r.recreate()
	got := r.start(keyed("k", "events.a", "1"))()[0]
	r.ok("publish", got.err)
	equal(r, "duplicate", got.Duplicate, false)
	r.code("MoveDurable", r.MoveDurable(r.ctx, 0, d, 0), bridge.CodeNotFound)
	seen, existed, err := r.OpenDurable(r.ctx, 0, d, 0)
	r.ok("OpenDurable", err)
	equal(r, "existed", existed, false)
	equal(r, "seen", seen, 0)
}

func testRemove(r *rig) {
	r.fill(5, "events.a")
	f := r.follow(1)
	f.untilReached(5)
	before := r.Streams()[0].Tag
	r.RemoveStream(0)
	f.until("Gone", func() bool { return len(f.all("Gone")) > 0 })
	equal(r, "number of streams", len(r.Streams()), 1)
	tag := r.recreate()
	f.until("Renewed", func() bool { return len(f.all("Renewed")) > 0 })
	equal(r, "calls of Gone", len(f.all("Gone")), 1)
	equal(r, "tag in Gone", f.all("Gone")[0].stream.Tag, before)
	equal(r, "tag in Renewed", f.all("Renewed")[0].stream.Tag, tag)
	r.fill(1, "events.a")
	f.until("the new event", func() bool { return len(f.all("Append")) == 6 })
}
