package jetstream_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/jetway-io/jetway/bridge/brokertest"
	"github.com/jetway-io/jetway/jetstream"
)

// admin does to streams what operators and limits do.
type admin struct {
	*jetstream.Broker
	t     *testing.T
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

func TestConformance(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprint("always=", sync), func(t *testing.T) {
			brokertest.Run(t, func(t *testing.T, _ *brokertest.Queues, streams ...brokertest.Stream) brokertest.Broker {
				o := options(t)
				o.Embedded.SyncAlways, o.Streams = sync, nil
				a := admin{t: t}
				for _, s := range streams {
					o.Streams = append(o.Streams, jetstream.StreamConfig{Name: s.Name, Subjects: s.Subjects, MaxAge: s.MaxAge, MaxBytes: s.MaxBytes, Dedupe: s.Dedupe})
					a.names = append(a.names, s.Name)
				}
				a.Broker = open(t, o)
				return a
			})
		})
	}
}
