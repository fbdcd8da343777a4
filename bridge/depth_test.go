package bridge_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

// What is older than a client's history does not exist for it, wherever it
// begins: ten events, one every ten seconds, the last one now.
func TestHistory(t *testing.T) {
	all := []string{">"}
	for _, tt := range []struct {
		history bridge.History
		from    string // "pos:N" is the position of event N
		first   int    // event that comes first; 0 is none
		gap     bool
	}{
		{bridge.History{Age: 25 * time.Second}, "first", 8, false},
		{bridge.History{Age: 25 * time.Second}, "-1000s", 8, false},
		{bridge.History{Age: 25 * time.Second}, "-15s", 9, false},
		{bridge.History{Age: 25 * time.Second}, "last:9", 8, false},
		{bridge.History{Age: 25 * time.Second}, "last:1", 10, false},
		{bridge.History{Age: 25 * time.Second}, "pos:2", 8, true},
		{bridge.History{Age: 25 * time.Second}, "pos:7", 8, false},
		{bridge.History{Age: 25 * time.Second}, "pos:9", 10, false},
		{bridge.History{Age: 25 * time.Second}, "last", 8, false}, // subjects a.1 to a.10, each its own last
		{bridge.History{Events: 4}, "first", 7, false},
		{bridge.History{Events: 4}, "pos:1", 7, true},
		{bridge.History{Events: 100}, "first", 1, false},
		{bridge.History{Events: 4, Age: 25 * time.Second}, "first", 7, false},
		{bridge.History{}, "first", 0, false},
		{bridge.History{}, "last", 0, false},
		{bridge.History{}, "pos:9", 0, true},
		{bridge.History{}, "new", 0, false},
	} {
		t.Run(fmt.Sprintf("%v from %s", tt.history, tt.from), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, bridge.Options{}, memory.Stream{Name: "A", Subjects: []string{"a.>"}})
				publisher := mustConnect(t, g)
				positions := map[string]string{}
				for i := 1; i <= 10; i++ {
					if i > 1 {
						time.Sleep(10 * time.Second)
					}
					positions[fmt.Sprint("pos:", i)] = publish(t, publisher, fmt.Sprint("a.", i), fmt.Sprint(i))
				}
				r := newRecorder()
				c := g.Connect(bridge.ClientOptions{User: "u", Encoder: r, Transport: r, Permissions: &bridge.Permissions{Sub: all, History: &tt.history}})
				defer func() { r.close(); c.Close() }()
				from := tt.from
				if pos, ok := positions[from]; ok {
					from = pos
				}
				a := subscribe(t, c, bridge.SubscribeRequest{Filter: "a.>", From: from})
				if (a.After != nil) != tt.gap {
					t.Errorf("the gap is %v to %v", a.After, a.Next)
				}
				publish(t, publisher, "a.x", "11")
				synctest.Wait()
				events := kinds(r.wait(t, "all", func([]frame) bool { return true }), a.SID, "event")
				first := tt.first
				if first == 0 {
					first = 11
				}
				inOrder(t, events, first, 11)
			})
		})
	}
}

// Of several roles the deepest counts, but not that of one that cannot read.
func TestHistoryUnion(t *testing.T) {
	day := bridge.Permissions{Sub: []string{"a"}, History: &bridge.History{Age: 24 * time.Hour}}
	many := bridge.Permissions{Sub: []string{"b"}, History: &bridge.History{Events: 9}}
	whole := bridge.Permissions{Sub: []string{"c"}}
	writer := bridge.Permissions{Pub: []string{"d"}}
	for _, tt := range []struct {
		p, q bridge.Permissions
		want *bridge.History
	}{
		{day, many, &bridge.History{Age: 24 * time.Hour, Events: 9}},
		{day, writer, day.History},
		{writer, day, day.History},
		{day, whole, nil},
		{bridge.Permissions{}, many, many.History},
	} {
		if got := tt.p.Union(tt.q).History; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("got %+v, want %+v", got, tt.want)
		}
	}
}

// A bundle is limited like any other subscription.
func TestHistoryOfABundle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bridge.Options{}, memory.Stream{Name: "A", Subjects: []string{"a.>"}})
		publishN(t, mustConnect(t, g), "a.x", 1, 5)
		synctest.Wait()
		r := newRecorder()
		c := g.Connect(bridge.ClientOptions{User: "u", Encoder: r, Transport: r,
			Permissions: &bridge.Permissions{Sub: []string{"a.>"}, History: &bridge.History{Events: 2}}})
		defer func() { r.close(); c.Close() }()
		sid := ""
		err := c.SubscribeBundle(context.Background(), []string{"a.*", "a.>"}, "first", func(_ *bridge.Output, a bridge.SubscribeAnswer) { sid = a.SID })
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		inOrder(t, kinds(r.wait(t, "all", func([]frame) bool { return true }), sid, "event"), 4, 5)
	})
}
