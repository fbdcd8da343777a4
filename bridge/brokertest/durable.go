package brokertest

import (
	"fmt"

	"github.com/jetway-io/jetway/bridge"
)

var durableTests = []test{
	{name: "open, move, move back, open again", run: testDurable},
	{name: "starts in the middle, at the end, on an empty stream", run: testDurableStart},
	{name: "a filter that matches little", run: testDurableFiltered},
	{name: "another filter is a conflict", run: testDurableConflict},
	{name: "one per user, name and stream", run: testDurableSeparate, streams: twoStreams},
	{name: "one that does not exist", run: testDurableNotFound},
	{name: "neither publishing nor trimming moves it", run: testDurableStays},
}

// open opens a durable and checks what it finds.
func (r *rig) open(slot int, d bridge.Durable, start, wantSeen uint64, wantExisted bool) {
	r.Helper()
	seen, existed, err := r.OpenDurable(r.ctx, slot, d, start)
	r.ok("OpenDurable", err)
	equal(r, fmt.Sprintf("%s of %s existed", d.Name, d.User), existed, wantExisted)
	equal(r, fmt.Sprintf("%s of %s has seen", d.Name, d.User), seen, wantSeen)
}

func (r *rig) move(slot int, d bridge.Durable, seen uint64) {
	r.Helper()
	r.ok(fmt.Sprintf("MoveDurable to %d", seen), r.MoveDurable(r.ctx, slot, d, seen))
}

func testDurable(r *rig) {
	d := bridge.Durable{User: "ann", Name: "phone", Filter: "events.>"}
	r.fill(10, "events.a", "events.b")
	r.open(0, d, 0, 0, false)
	r.open(0, d, 7, 0, true) // where it stands, not where a new one would start
	for _, seen := range []uint64{1, 5, 5, 10, 3, 0, 9} {
		r.move(0, d, seen)
		r.open(0, d, 0, seen, true)
	}
}

func testDurableStart(r *rig) {
	r.open(0, bridge.Durable{User: "ann", Name: "early", Filter: "events.>"}, 0, 0, false)
	r.fill(10, "events.a")
	for _, start := range []uint64{0, 1, 4, 9, 10} {
		d := bridge.Durable{User: "ann", Name: fmt.Sprint("at-", start), Filter: "events.>"}
		r.open(0, d, start, start, false)
		r.open(0, d, 2, start, true)
	}
}

func testDurableFiltered(r *rig) {
	d := bridge.Durable{User: "ann", Name: "rare", Filter: "events.rare.*"}
	r.fill(10, "events.a")
	r.open(0, d, 4, 4, false)
	r.publish(to("events.rare.x", "11"))
	r.fill(3, "events.a")
	for _, seen := range []uint64{11, 14, 6} {
		r.move(0, d, seen)
		r.open(0, d, 0, seen, true)
	}
}

func testDurableConflict(r *rig) {
	r.fill(5, "events.a")
	d := bridge.Durable{User: "ann", Name: "phone", Filter: "events.a"}
	r.open(0, d, 2, 2, false)
	other := d
	other.Filter = "events.>"
	_, _, err := r.OpenDurable(r.ctx, 0, other, 0)
	r.code("OpenDurable with another filter", err, bridge.CodeConflict)
	r.open(0, d, 0, 2, true)
}

func testDurableSeparate(r *rig) {
	r.fill(30, "events.a")
	audit := to("audit.a", "x")
	audit.Slot = 1
	r.publish(audit, audit, audit)
	// Users come from tokens and may be anything.
	users := []string{"ann", "bob", "ANN", "ann.b", "ann_b", "ann-b", "ann b", "a*", ">", "änn", "ann/../bob", "https://id.example/users/17"}
	for i, user := range users {
		r.open(0, bridge.Durable{User: user, Name: "phone", Filter: "events.>"}, uint64(i), uint64(i), false)
	}
	ann := bridge.Durable{User: "ann", Name: "phone", Filter: "events.>"}
	r.open(0, bridge.Durable{User: "ann", Name: "Phone", Filter: "events.>"}, 20, 20, false)
	r.open(0, bridge.Durable{User: "ann", Name: "_=-9", Filter: "events.>"}, 21, 21, false)
	r.open(1, bridge.Durable{User: "ann", Name: "phone", Filter: "audit.>"}, 3, 3, false)
	r.move(0, ann, 30)
	r.open(0, ann, 0, 30, true)
	r.open(1, bridge.Durable{User: "ann", Name: "phone", Filter: "audit.>"}, 0, 3, true)
	for i, user := range users[1:] {
		r.open(0, bridge.Durable{User: user, Name: "phone", Filter: "events.>"}, 0, uint64(i+1), true)
	}
}

func testDurableNotFound(r *rig) {
	r.fill(5, "events.a")
	d := bridge.Durable{User: "ann", Name: "phone", Filter: "events.>"}
	r.code("MoveDurable", r.MoveDurable(r.ctx, 0, d, 3), bridge.CodeNotFound)
	r.open(0, d, 1, 1, false) // moving has not made it
	d.User = "bob"
	r.code("MoveDurable of another user's", r.MoveDurable(r.ctx, 0, d, 3), bridge.CodeNotFound)
}

func testDurableStays(r *rig) {
	d := bridge.Durable{User: "ann", Name: "phone", Filter: "events.>"}
	r.fill(10, "events.a")
	r.open(0, d, 6, 6, false)
	r.fill(10, "events.a")
	r.Delete(0, 7)
	r.Trim(0, 4)
	r.open(0, d, 0, 6, true)
}
