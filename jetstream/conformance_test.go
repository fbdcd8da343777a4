package jetstream_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/brokertest"
	"github.com/jetway-io/jetway/jetstream"
)

// admin does to streams what operators and limits do.
type admin struct {
	*jetstream.Broker
	t     *testing.T
	o     jetstream.Options
	names []string
}

func (a admin) Trim(slot int, first uint64) {
	api(a.t, a.Conn(), "STREAM.PURGE."+a.names[slot], fmt.Sprintf(`{"seq":%d}`, first))
}

func (a admin) Delete(slot int, seq uint64) {
	api(a.t, a.Conn(), "STREAM.MSG.DELETE."+a.names[slot], fmt.Sprintf(`{"seq":%d}`, seq))
}

func (a admin) RemoveStream(slot int) { api(a.t, a.Conn(), "STREAM.DELETE."+a.names[slot], "") }

func (a admin) Recreate(slot int) {
	// It may have been removed before.
	_, _ = a.Conn().Request("$JS.API.STREAM.DELETE."+a.names[slot], nil, deadline)
	config, err := json.Marshal(map[string]any{"name": a.names[slot], "subjects": a.Streams()[slot].Subjects,
		"retention": "limits", "storage": "file", "num_replicas": 1, "max_bytes": -1, "allow_direct": true, "allow_atomic": true, "allow_msg_ttl": true})
	if err != nil {
		a.t.Fatal(err)
	}
	// nats-server removes the old one's files in the background.
	eventually(a.t, "the stream is made again", func() bool {
		m, err := a.Conn().Request("$JS.API.STREAM.CREATE."+a.names[slot], config, deadline)
		return err == nil && !containsError(string(m.Data))
	})
}

// Join opens the broker of another gateway, for which the server is external.
func (a admin) Join(t *testing.T) bridge.Broker {
	o := a.o
	o.URL, o.Embedded = a.ClientURL(), jetstream.EmbeddedOptions{}
	return open(t, o)
}

// Serve answers requests as a microservice would.
func (a admin) Serve(filter string, fn func(*bridge.Event) *bridge.Event) (stop func()) {
	sub, err := a.Conn().Subscribe(filter, func(m *nats.Msg) {
		e := &bridge.Event{Subject: m.Subject, Data: m.Data}
		for _, name := range slices.Sorted(maps.Keys(m.Header)) {
			for _, v := range m.Header[name] {
				e.Head = append(e.Head, bridge.Field{Name: name, Value: v})
			}
		}
		slices.SortStableFunc(e.Head, func(x, y bridge.Field) int { return strings.Compare(x.Name, y.Name) })
		got := fn(e)
		if got == nil {
			return
		}
		answer := &nats.Msg{Subject: m.Reply, Data: got.Data, Header: nats.Header{}}
		for _, f := range got.Head {
			answer.Header[f.Name] = append(answer.Header[f.Name], f.Value)
		}
		_ = a.Conn().PublishMsg(answer) // who asked tells; a late answer may find no connection
	})
	if err == nil {
		err = a.Conn().Flush()
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return func() {
		if err := sub.Unsubscribe(); err != nil {
			a.t.Error(err)
		}
	}
}

func TestConformance(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprint("always=", sync), func(t *testing.T) {
			brokertest.Run(t, func(t *testing.T, setup brokertest.Setup) brokertest.Broker {
				o := options(t)
				o.Embedded.SyncAlways, o.Streams = sync, nil
				if queues := setup.Queues; queues != nil {
					o.Queues = jetstream.QueueOptions{Stream: queues.Stream, Subjects: queues.Subjects, Lease: queues.Lease,
						MaxJobs: int64(queues.MaxJobs), Dedupe: queues.Dedupe}
				}
				if s := setup.Sessions; s != nil {
					o.Sessions = jetstream.SessionOptions{Keep: true, TTL: s.TTL}
				}
				if setup.Cluster {
					o.Embedded.Listen = "127.0.0.1:0"
				}
				a := admin{t: t}
				for _, s := range setup.Streams {
					o.Streams = append(o.Streams, jetstream.StreamConfig{Name: s.Name, Subjects: s.Subjects, MaxAge: s.MaxAge, MaxBytes: s.MaxBytes, Dedupe: s.Dedupe})
					a.names = append(a.names, s.Name)
				}
				a.Broker, a.o = open(t, o), o
				return a
			}, brokertest.HasQueues, brokertest.HasRequests, brokertest.HasSessions, brokertest.HasGateways)
		})
	}
}
