package native_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
)

func pos(tag string, seq uint64) bridge.Position { return bridge.Position{{Tag: tag, Seq: seq}} }

func parse(t *testing.T, s string) *native.Frame {
	t.Helper()
	f := new(native.Frame)
	if err := native.Parse([]byte(s), f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEncode(t *testing.T) {
	expires := time.Date(2031, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	job := &bridge.Event{Subject: "jobs.resize", Data: []byte(`{"w":1}`), Head: []bridge.Field{{Name: "A", Value: "b"}}}
	tests := map[string]struct {
		got  []byte
		want string
	}{
		"hi": {
			native.AppendHi(nil, &native.Hi{Session: "x1", User: "anonymous", Ping: 25 * time.Second, MaxMessageBytes: 1 << 20, Dedupe: time.Hour}),
			`{"hi":"jetway/1","session":"x1","user":"anonymous","ping":"25s","max_message_bytes":1048576,"dedupe":"1h"}`,
		},
		"hi with an end": {
			native.AppendHi(nil, &native.Hi{User: `a"b`, Ping: 90 * time.Minute, Expires: expires}),
			`{"hi":"jetway/1","session":"","user":"a\"b","ping":"1h30m","max_message_bytes":0,"expires":"2031-01-02T02:04:05Z"}`,
		},
		"ok":              {native.AppendOK(nil, "7"), `{"ok":7}`},
		"published":       {native.AppendPublished(nil, `"a"`, native.Published{Pos: pos("t", 1<<63)}), `{"ok":"a","pos":"t-9223372036854775808"}`},
		"published again": {native.AppendPublished(nil, "1", native.Published{Pos: pos("t", 1), Dup: true}), `{"ok":1,"pos":"t-1","dup":true}`},
		"published live":  {native.AppendPublished(nil, "1", native.Published{}), `{"ok":1}`},
		"published a job": {native.AppendPublished(nil, "1", native.Published{Pos: pos("t", 1), Watch: "jobs.events.r.1"}), `{"ok":1,"pos":"t-1","watch":"jobs.events.r.1"}`},
		"subscribed":      {native.AppendSubscribed(nil, `"sub"`, &native.Subscribed{SID: "s1", From: pos("t", 0)}), `{"ok":"sub","sid":"s1","from":"t-0","behind":0}`},
		"subscribed, gap": {
			native.AppendSubscribed(nil, "1", &native.Subscribed{SID: "s1", From: pos("t", 4), Behind: 12, Gap: &native.Gap{After: pos("t", 1), Next: pos("t", 5)}}),
			`{"ok":1,"sid":"s1","from":"t-4","behind":12,"gap":{"after":"t-1","next":"t-5"}}`,
		},
		"subscribed, live only": {native.AppendSubscribed(nil, "1", &native.Subscribed{SID: "s1", Behind: 3}), `{"ok":1,"sid":"s1"}`},
		"reply":                 {native.AppendReply(nil, "8", &bridge.Event{Data: []byte(`{"a": 1}`)}), `{"ok":8,"data":{"a": 1}}`},
		"binary reply":          {native.AppendReply(nil, "8", &bridge.Event{Data: []byte{0xff}}), `{"ok":8,"b64":"/w=="}`},
		"err": {
			native.AppendErr(nil, `"pub"`, &bridge.Error{Code: bridge.CodeQueueFull, Msg: "full", Hint: "wait", Retry: 2 * time.Second}),
			`{"err":"pub","code":"queue_full","msg":"full","hint":"wait","retry":"2s"}`,
		},
		"err, short":      {native.AppendErr(nil, "1", &bridge.Error{Code: bridge.CodeInternal, Msg: "\xff\x00\n\u2028"}), `{"err":1,"code":"internal","msg":"\ufffd\u0000\n` + "\u2028" + `"}`},
		"pong":            {native.AppendPong(nil, parse(t, `{"ping":{ "a":1}}`)), `{"pong":{ "a":1}}`},
		"pong with an id": {native.AppendPong(nil, parse(t, `{"ping":null,"id":"x"}`)), `{"ok":"x","pong":null}`},
		"bye":             {native.AppendBye(nil, native.Bye{Code: 1012, Why: "restart", Retry: 1500 * time.Millisecond}), `{"bye":true,"code":1012,"why":"restart","retry":"1.5s"}`},
		"bye for good":    {native.AppendBye(nil, native.Bye{Code: 4400, Why: "x"}), `{"bye":true,"code":4400,"why":"x"}`},
		"live":            {native.AppendLive(nil, "s1", pos("t", 3)), `{"live":"s1","pos":"t-3"}`},
		"gap":             {native.AppendGapFrame(nil, "s1", pos("t", 3), pos("t", 9)), `{"gap":"s1","after":"t-3","next":"t-9"}`},
		"end":             {native.AppendEnd(nil, "s1", "until"), `{"end":"s1","why":"until"}`},
		"job": {
			native.AppendJob(nil, &bridge.JobDelivery{Event: job, SID: "s2", Lease: "L", Try: 1, For: 30 * time.Second, Pos: pos("q", 51)}),
			`{"job":"jobs.resize","sid":"s2","lease":"L","try":1,"for":"30s","pos":"q-51","head":{"A":"b"},"data":{"w":1}}`,
		},
		"expiring": {native.AppendExpiring(nil, expires, time.Minute), `{"expiring":"2031-01-02T02:04:05Z","in":"1m","hint":"send auth with a new token of the same user, as in {\"auth\":TOKEN}"}`},
		"lost":     {native.AppendLost(nil, "L", "timeout"), `{"lost":"L","why":"timeout"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if string(tt.got) != tt.want {
				t.Errorf("got  %s\nwant %s", tt.got, tt.want)
			}
			if !json.Valid(tt.got) {
				t.Error("not JSON")
			}
		})
	}
}

func TestEncodeHelp(t *testing.T) {
	for in, key := range map[string]string{"help": "help", `{"help":1,"id":4}`: "ok"} {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(native.AppendHelp(nil, parse(t, in)), &m); err != nil {
			t.Fatal(err)
		}
		var list map[string]struct{ Means, Example json.RawMessage }
		if err := json.Unmarshal(m["help"], &list); err != nil || m[key] == nil {
			t.Errorf("%s: %v, %v", in, m, err)
		}
		for v := native.VerbAuth; v < native.VerbHelp; v++ {
			if _, there := list[v.String()]; !there {
				t.Errorf("%s: %s is not in the list", in, v)
			}
		}
	}
}

// Whatever a server writes is read back as it was meant.
func FuzzRoundTrip(f *testing.F) {
	f.Add("events.chat.1", []byte(`{"a":1}`), "name", "value", uint64(7))
	f.Add("\xff\"\\", []byte{0xff, 0}, "\x00", "\u2028é😀", uint64(1<<63))
	f.Fuzz(func(t *testing.T, subject string, data []byte, name, value string, seq uint64) {
		e := &bridge.Event{Subject: subject, Data: data, Head: []bridge.Field{{Name: name, Value: value}}, Time: time.Unix(int64(seq>>32), 5)}
		d := &bridge.Delivery{Event: e, SID: "s1", Pos: pos("t", seq), Lag: seq}
		var got native.Received
		if err := native.ParseReceived(payloadOf(t, encode(d)), &got); err != nil {
			t.Fatal(err)
		}
		payload, _ := got.Payload()
		if native.IsJSON(data) {
			data = bytes.Trim(data, " \t\r\n") // the space around a value is not the value
		}
		if string(payload) != string(data) || got.Kind != native.KindEvent {
			t.Fatalf("payload %q, want %q", payload, data)
		}
		if got.Subject != clean(subject) || got.Head[0] != (bridge.Field{Name: clean(name), Value: clean(value)}) {
			t.Fatalf("subject %q, head %q", got.Subject, got.Head)
		}
		if !got.Time.Equal(e.Time) || got.Pos != d.Pos.String() || got.Lag != seq || got.SID != "s1" {
			t.Fatalf("got %+v", got)
		}
		var refused bridge.Error
		if err := json.Unmarshal(native.AppendErr(nil, "1", &bridge.Error{Msg: subject, Hint: value}), &refused); err != nil || refused.Msg != clean(subject) {
			t.Fatalf("err: %+v, %v", refused, err)
		}
	})
}

// clean is s as a JSON text can carry it.
func clean(s string) string {
	var out string
	b, err := json.Marshal(s)
	if err = errors.Join(err, json.Unmarshal(b, &out)); err != nil {
		panic(err)
	}
	return out
}

// What a client writes is read as it was meant, and its payload byte for byte.
func FuzzRequest(f *testing.F) {
	f.Add("events.chat.1", []byte(`{"a":1}`), "key", "value", int64(7))
	f.Add("é\\\"", []byte{0xff, 0}, "k", "", int64(0))
	f.Add("s", []byte(" 1 "), "k", "v", int64(1e9))
	f.Add("jobs.r", []byte("1"), "k", "v", int64(1893553445e9))
	f.Add("jobs.r", []byte("1"), "k", "v", int64(-62135596800))
	f.Fuzz(func(t *testing.T, subject string, data []byte, key, value string, n int64) {
		want := native.Frame{
			Verb: native.VerbPub, Text: clean(subject), ID: "7", Key: clean(key), If: clean(value), Why: clean(value),
			Max: int(n % 1_000_000), TTL: time.Duration(n), Head: []bridge.Field{{Name: "A", Value: clean(value)}},
		}
		want.SetPayload(data)
		if n%2 == 0 {
			want.At = time.Unix(0, n).UTC()
		} else {
			want.Delay = time.Duration(n)
		}
		var got native.Frame
		if err := native.Parse(native.AppendFrame(nil, &want), &got); err != nil {
			t.Skip("not a frame that may be sent")
		}
		want.Value, want.Max, want.TTL, want.Delay = got.Value, max(want.Max, 0), max(want.TTL, 0), max(want.Delay, 0)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if p, ok := got.Payload(); !ok || !bytes.Equal(p, data) {
			t.Fatalf("payload %q, want %q", p, data)
		}
	})
}
