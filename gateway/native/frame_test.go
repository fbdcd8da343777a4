package native_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
)

func TestParse(t *testing.T) {
	tests := map[string]struct {
		in   string
		want native.Frame
	}{
		"pub": {
			`{"pub":"events.chat.1","data":"hi"}`,
			native.Frame{Verb: native.VerbPub, Value: []byte(`"events.chat.1"`), Text: "events.chat.1", Data: []byte(`"hi"`)},
		},
		"data byte for byte": {
			"\t{ \"data\" :  {\"a\" :1e400,\"b\":\"\\ud800\" , \"a\":-0}\n, \"pub\":\"s\" } ",
			native.Frame{Verb: native.VerbPub, Value: []byte(`"s"`), Text: "s", Data: []byte("{\"a\" :1e400,\"b\":\"\\ud800\" , \"a\":-0}")},
		},
		"every field of pub": {
			`{"id":"a\u0041","pub":"s","b64":"AP8=","key":"k","head":{"Trace":"1"},"ttl":"30s","if":"abc-1"}`,
			native.Frame{
				Verb: native.VerbPub, Value: []byte(`"s"`), Text: "s", ID: `"a\u0041"`, Binary: []byte{0, 255}, Key: "k",
				Head: []bridge.Field{{Name: "Trace", Value: "1"}}, TTL: 30 * time.Second, If: "abc-1",
			},
		},
		"empty b64 is a payload": {
			`{"pub":"s","b64":""}`,
			native.Frame{Verb: native.VerbPub, Value: []byte(`"s"`), Text: "s", Binary: []byte{}},
		},
		"sub": {
			`{"sub":"a.*.>","from":"-10m","as":"me","max":100,"until":"now","id":-1.5e3}`,
			native.Frame{Verb: native.VerbSub, Value: []byte(`"a.*.>"`), Text: "a.*.>", From: "-10m", As: "me", Max: 100, Until: "now", ID: "-1.5e3"},
		},
		"seen": {
			`{"seen":"abc-1","sid":"s1"}`,
			native.Frame{Verb: native.VerbSeen, Value: []byte(`"abc-1"`), Text: "abc-1", SID: "s1"},
		},
		"nak": {
			`{"nak":"l","delay":"1m30s","why":""}`,
			native.Frame{Verb: native.VerbNak, Value: []byte(`"l"`), Text: "l", Delay: 90 * time.Second},
		},
		"pub later": {
			`{"pub":"jobs.r","data":1,"delay":"8760h"}`,
			native.Frame{Verb: native.VerbPub, Value: []byte(`"jobs.r"`), Text: "jobs.r", Data: []byte("1"), Delay: 365 * 24 * time.Hour},
		},
		"pub at a moment, in UTC": {
			`{"at":"2031-01-02T04:04:05.5+01:00","pub":"jobs.r","data":1}`,
			native.Frame{Verb: native.VerbPub, Value: []byte(`"jobs.r"`), Text: "jobs.r", Data: []byte("1"), At: time.Date(2031, 1, 2, 3, 4, 5, 5e8, time.UTC)},
		},
		"nak may wait longer": {
			`{"delay":"8761h","nak":"l"}`,
			native.Frame{Verb: native.VerbNak, Value: []byte(`"l"`), Text: "l", Delay: 8761 * time.Hour},
		},
		"req": {
			`{"req":"svc","data":null,"wait":"2h"}`,
			native.Frame{Verb: native.VerbReq, Value: []byte(`"svc"`), Text: "svc", Data: []byte("null"), Wait: 2 * time.Hour},
		},
		"ping takes anything": {
			`{"ping":{"x":["\udc00"]}}`,
			native.Frame{Verb: native.VerbPing, Value: []byte(`{"x":["\udc00"]}`)},
		},
		"help, bare":        {" help\n", native.Frame{Verb: native.VerbHelp}},
		"help, as a verb":   {`{"help":0}`, native.Frame{Verb: native.VerbHelp, Value: []byte("0")}},
		"escaped verb":      {`{"\u0070ing":1}`, native.Frame{Verb: native.VerbPing, Value: []byte("1")}},
		"unknown fields":    {`{"x":[{}],"off":"s1","__proto__":{},"constructor":1}`, native.Frame{Verb: native.VerbOff, Value: []byte(`"s1"`), Text: "s1"}},
		"escapes in a text": {`{"off":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, native.Frame{Verb: native.VerbOff, Value: []byte(`"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`), Text: "\"\\/\b\f\n\r\té😀"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := native.Frame{Key: "left over", Max: 7}
			if err := native.Parse([]byte(tt.in), &f); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(f, tt.want) {
				t.Errorf("got  %+v\nwant %+v", f, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name, in  string
		code      bridge.Code
		msg, hint string // what they contain
		ref       string // what the answer names
	}{
		{"empty", ``, "bad_frame", "byte 0: the text ends", "send help", `"frame"`},
		{"text", `hello`, "bad_frame", "byte 0: a message is a JSON object", "send help", `"frame"`},
		{"array", `[{"pub":"s"}]`, "bad_frame", "a message is a JSON object", "send help", `"frame"`},
		{"byte order mark", "\uFEFF{}", "bad_frame", "byte 0", "byte order mark", `"frame"`},
		{"cut off after the id", `{"id":7,"pub":"s","da`, "bad_frame", "byte 21: the text ends", "send help", `7`},
		{"no colon", `{"pub" "s"}`, "bad_frame", "byte 7: expected ':'", "send help", `"frame"`},
		{"no comma", `{"pub":"s" "id":1}`, "bad_frame", "byte 11: expected ',' or '}'", "send help", `"pub"`},
		{"trailing comma", `{"pub":"s",}`, "bad_frame", "byte 11: expected a string", "send help", `"pub"`},
		{"trailing garbage", `{"ping":1}{}`, "bad_frame", "byte 10: something follows", "send help", `"ping"`},
		{"bad escape", `{"pub":"\x"}`, "bad_frame", "byte 8: not an escape", "send help", `"frame"`},
		{"raw line break", "{\"pub\":\"a\nb\"}", "bad_frame", "control character in a string", "send help", `"frame"`},
		{"bad number", `{"ping":01}`, "bad_frame", "byte 9", "send help", `"ping"`},
		{"too deep", `{"id":1,"ping":` + deep(65) + `}`, "bad_frame", "nested deeper than 64", "flatten", `1`},
		{"no verb", `{"id":"x","data":1}`, "unknown_verb", "no verb", "one of auth, pub, sub, seen, work, ack, nak, wip, term, req, off, ping, help, as in", `"x"`},
		{"empty object", ` { } `, "unknown_verb", "no verb", "one of auth", `"frame"`},
		{"synonym", `{"id":1,"publish":"s","data":1}`, "unknown_verb", `no verb "publish"`, `did you mean "pub"`, `1`},
		{"misspelt", `{"subb":"s"}`, "unknown_verb", `no verb "subb"`, `did you mean "sub"`, `"frame"`},
		{"case", `{"PUB":"s"}`, "unknown_verb", `no verb "PUB"`, `did you mean "pub"`, `"frame"`},
		{"stranger", `{"fnord":"s"}`, "unknown_verb", `no verb "fnord"`, `one of auth`, `"frame"`},
		{"long stranger", `{"` + strings.Repeat("é", 100) + `":1}`, "unknown_verb", `…"`, `one of auth`, `"frame"`},
		{"synonym of auth", `{"login":"s"}`, "unknown_verb", `no verb "login"`, `did you mean "auth"`, `"frame"`},
		{"too far from auth", `{"auht":"s"}`, "unknown_verb", `no verb "auht"`, `one of auth`, `"frame"`},
		{"not a token", `{"auth":1}`, "bad_frame", `"auth" takes a token`, `as in {"auth":"TOKEN"}`, `"auth"`},
		{"two verbs", `{"pub":"s","sub":"s","id":3}`, "bad_frame", `two verbs, "pub" and "sub"`, "two messages", `3`},
		{"one verb twice", `{"pub":"s","p\u0075b":"t"}`, "bad_frame", `two verbs, "pub" and "pub"`, "two messages", `"pub"`},
		{"a field twice", `{"pub":"s","key":"a","\u006bey":"b"}`, "bad_frame", `"key" twice`, "once", `"pub"`},
		{"data twice", `{"pub":"s","data":1,"data":1}`, "bad_frame", `"data" twice`, "once", `"pub"`},
		{"data and b64", `{"pub":"s","data":1,"b64":""}`, "bad_frame", `"data" and "b64"`, "not both", `"pub"`},
		{"verb not a string", `{"pub":1}`, "bad_frame", `"pub" takes a subject`, `{"pub":"events.chat.1"`, `"pub"`},
		{"half a surrogate pair", `{"pub":"\ud800"}`, "bad_frame", `"pub" takes a subject`, "as in", `"pub"`},
		{"two high surrogates", `{"pub":"\ud800\ud800"}`, "bad_frame", `"pub" takes a subject`, "as in", `"pub"`},
		{"id null", `{"pub":"s","id":null}`, "bad_frame", `"id" must be`, `"id":1`, `"pub"`},
		{"id object", `{"pub":"s","id":{}}`, "bad_frame", `"id" must be`, `"id":1`, `"pub"`},
		{"id true", `{"pub":"s","id":true}`, "bad_frame", `"id" must be`, `"id":1`, `"pub"`},
		{"id too long", `{"pub":"s","id":"` + strings.Repeat("x", 128) + `"}`, "bad_frame", `"id" is longer than 128`, "count", `"pub"`},
		{"b64 not a string", `{"pub":"s","b64":1}`, "bad_frame", `"b64" must be a string`, "btoa", `"pub"`},
		{"b64 without padding", `{"pub":"s","b64":"AA"}`, "bad_frame", `"b64" is not base64`, "padding", `"pub"`},
		{"key number", `{"pub":"s","key":1}`, "bad_frame", `"key" must be a string`, "leave it out", `"pub"`},
		{"key empty", `{"pub":"s","key":""}`, "bad_frame", `"key" is empty`, "leave it out", `"pub"`},
		{"key CRLF", `{"pub":"s","key":"a\r\nNats-Rollup: all"}`, "bad_frame", `"key" has a control`, "use letters", `"pub"`},
		{"key too long", `{"pub":"s","key":"` + strings.Repeat("x", 257) + `"}`, "bad_frame", `"key" is longer`, "hash", `"pub"`},
		{"from null", `{"sub":"s","from":null}`, "bad_frame", `"from" must be a string`, "leave it out", `"sub"`},
		{"as empty", `{"sub":"s","as":""}`, "bad_frame", `"as" is empty`, "leave it out", `"sub"`},
		{"why number", `{"term":"l","why":1}`, "bad_frame", `"why" must be a string`, "as in", `"term"`},
		{"max zero", `{"sub":"s","max":0}`, "bad_frame", `"max" must be`, `"max":100`, `"sub"`},
		{"max negative", `{"sub":"s","max":-1}`, "bad_frame", `"max" must be`, `"max":100`, `"sub"`},
		{"max fraction", `{"sub":"s","max":1.0}`, "bad_frame", `"max" must be`, `"max":100`, `"sub"`},
		{"max huge", `{"sub":"s","max":18446744073709551617}`, "bad_frame", `"max" must be`, `"max":100`, `"sub"`},
		{"max string", `{"sub":"s","max":"1"}`, "bad_frame", `"max" must be`, `"max":100`, `"sub"`},
		{"ttl number", `{"pub":"s","ttl":30}`, "bad_frame", `"ttl" must be a duration`, `"ttl":"30s"`, `"pub"`},
		{"wait zero", `{"req":"s","wait":"0s"}`, "bad_frame", `"wait" must be a duration`, `"wait":"30s"`, `"req"`},
		{"delay negative", `{"nak":"l","delay":"-1s"}`, "bad_frame", `"delay" must be a duration`, `"delay":"30s"`, `"nak"`},
		{"delay without a unit", `{"nak":"l","delay":"10"}`, "bad_frame", `"delay" must be a duration`, `"delay":"30s"`, `"nak"`},
		{"delay of pub zero", `{"pub":"s","delay":"0s"}`, "bad_frame", `"delay" must be a duration`, `"delay":"30s"`, `"pub"`},
		{"delay of pub too long", `{"pub":"s","delay":"8760h1s"}`, "bad_frame", `"delay" is longer than 365 days`, `"8760h"`, `"pub"`},
		{"delay and at", `{"at":"2030-01-02T03:04:05Z","pub":"s","delay":"1s"}`, "bad_frame", `"delay" and "at" together`, "not both", `"pub"`},
		{"at is a number", `{"pub":"s","at":1900000000}`, "bad_frame", `"at" must be a time`, "RFC 3339", `"pub"`},
		{"at without a zone", `{"pub":"s","at":"2030-01-02T03:04:05"}`, "bad_frame", `"at" must be a time`, "RFC 3339", `"pub"`},
		{"at empty", `{"pub":"s","at":""}`, "bad_frame", `"at" must be a time`, "RFC 3339", `"pub"`},
		{"at twice", `{"pub":"s","at":"2030-01-02T03:04:05Z","at":"2031-01-02T03:04:05Z"}`, "bad_frame", `"at" twice`, "once", `"pub"`},
		{"id after the fault", `{"sub":"s","max":0,"id":9}`, "bad_frame", `"max" must be`, `"max":100`, `9`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f native.Frame
			checkRefused(t, native.Parse([]byte(tt.in), &f), tt.code, tt.msg, tt.hint)
			if f.Ref() != tt.ref {
				t.Errorf("the answer names %s, want %s", f.Ref(), tt.ref)
			}
		})
	}
}

// N04: a header is a line to NATS; what would forge one is refused.
func TestParseRefusesHeaders(t *testing.T) {
	many := make([]string, 33)
	for i := range many {
		many[i] = `"H` + strings.Repeat("x", i) + `":""`
	}
	tests := map[string]struct{ in, msg string }{
		"not an object":        {`["a"]`, `"head" must be an object`},
		"value not a string":   {`{"a":1}`, "must be strings"},
		"nested":               {`{"a":{"b":"c"}}`, "must be strings"},
		"reserved":             {`{"Nats-Msg-Id":"x"}`, `"Nats-Msg-Id" is not for clients`},
		"reserved, lower case": {`{"nats-rollup":"all"}`, "is not for clients"},
		"reserved, escaped":    {`{"\u004eats-Rollup":"all"}`, "is not for clients"},
		"reserved, ours":       {`{"JETWAY-User":"root"}`, "is not for clients"},
		"status":               {`{"Status":"503"}`, "is not for clients"},
		"CRLF in a value":      {`{"a":"b\r\nc: d"}`, "control character in its value"},
		"CRLF in a name":       {`{"a\r\nb":"c"}`, "cannot be a header's name"},
		"colon in a name":      {`{"a:b":"c"}`, "cannot be a header's name"},
		"empty name":           {`{"":"c"}`, "cannot be a header's name"},
		"DEL in a value":       {`{"a":"\u007f"}`, "control character in its value"},
		"twice":                {`{"a":"1","A":"2"}`, "twice"},
		"too many":             {`{` + strings.Join(many, ",") + `}`, "over 32 fields"},
		"too large":            {`{"a":"` + strings.Repeat("x", 5000) + `"}`, "or 4096 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var f native.Frame
			err := native.Parse([]byte(`{"pub":"s","head":`+tt.in+`}`), &f)
			checkRefused(t, err, bridge.CodeBadFrame, tt.msg, "")
		})
	}
	var f native.Frame
	if err := native.Parse([]byte(`{"pub":"s","head": { "traceparent" : "x" , "a":"é"}}`), &f); err != nil || len(f.Head) != 2 {
		t.Errorf("good headers: %v, %v", f.Head, err)
	}
}

func checkRefused(t *testing.T, err error, code bridge.Code, msg, hint string) {
	t.Helper()
	var e *bridge.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a bridge.Error", err)
	}
	if e.Code != code || !strings.Contains(e.Msg, msg) || !strings.Contains(e.Hint, hint) || e.Hint == "" {
		t.Errorf("got %s %q, hint %q\nwant %s %q, hint %q", e.Code, e.Msg, e.Hint, code, msg, hint)
	}
}

// Every verb's example must be a message that the parser takes: help prints
// them to be pasted.
func TestVerbExamples(t *testing.T) {
	for v := native.VerbAuth; v < native.VerbCount; v++ {
		var f native.Frame
		if err := native.Parse([]byte(v.Example()), &f); err != nil || f.Verb != v {
			t.Errorf("%s: %s: verb %q, %v", v, v.Example(), f.Verb, err)
		}
	}
	if native.VerbNone.String() != "" || native.Verb(200).String() != "" || native.Verb(200).Example() != "" {
		t.Error("an unknown verb has a name")
	}
}

// A subscription must not keep the message that made it, which may be large.
func TestParseCopiesWhatSubscriptionsKeep(t *testing.T) {
	b := []byte(`{"sub":"a.b","as":"me","id":1}`)
	var f native.Frame
	if err := native.Parse(b, &f); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if f.Text != "a.b" || f.As != "me" {
		t.Errorf("got %q as %q", f.Text, f.As)
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	b := []byte(`{"pub":"events.chat.1","data":{"text":"hello","n":[1,2,3]},"key":"k-1","id":12}`)
	var f native.Frame
	n := testing.AllocsPerRun(100, func() {
		if native.Parse(b, &f) != nil {
			t.Fatal("refused")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// J01: a million brackets must neither grow the stack nor take long.
func TestParseDepth(t *testing.T) {
	for _, n := range []int{64, 65, 10_001, 1_000_000} {
		for _, open := range []string{"[", `{"a":`} {
			var f native.Frame
			err := native.Parse([]byte(`{"pub":"s","data":`+strings.Repeat(open, n)), &f)
			if err == nil || (n > 64) != strings.Contains(err.Error(), "nested deeper") {
				t.Errorf("%d × %s: %v", n, open, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for v := native.VerbAuth; v < native.VerbCount; v++ {
		f.Add([]byte(v.Example()))
	}
	f.Add([]byte(`{"pub":"s","data":{"a":[1,-0.5e+3,true,null,"\u00e9\ud83d\ude00"]},"id":"x","head":{"a":"b"}}`))
	f.Add([]byte(`{"pub":"jobs.r","at":"2030-01-02T03:04:05.000000006+07:30"}`))
	f.Add([]byte(`{"pub":"jobs.r","delay":"8760h"}`))
	f.Add([]byte(`{"\u0070ub":"s","d\u0061ta":1,"x":{},"max":10,"ttl":"1s"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var fr native.Frame
		err := native.Parse(b, &fr)
		ok, tooDeep := native.ScanOK(b)
		if valid := json.Valid(b); valid != ok && !tooDeep {
			t.Fatalf("the scanner says %v, encoding/json %v", ok, valid)
		}
		if err != nil {
			var e *bridge.Error
			if !errors.As(err, &e) || e.Hint == "" {
				t.Fatalf("not an error for clients: %v", err)
			}
			return
		}
		checkAgainstOracle(t, b, &fr)
	})
}

// checkAgainstOracle compares an accepted message with what encoding/json
// makes of it.
func checkAgainstOracle(t *testing.T, b []byte, f *native.Frame) {
	t.Helper()
	if strings.TrimSpace(string(b)) == "help" {
		return
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("accepted, but %v", err)
	}
	if got, want := string(f.Data), string(m["data"]); got != want {
		t.Fatalf("data %q, want %q", got, want)
	}
	if got, want := f.ID, string(m["id"]); got != want {
		t.Fatalf("id %q, want %q", got, want)
	}
	value, ok := m[f.Verb.String()]
	if !ok || string(value) != string(f.Value) {
		t.Fatalf("verb %q: value %q, want %q", f.Verb, f.Value, value)
	}
	for name, got := range map[string]string{"key": f.Key, "from": f.From, "as": f.As, "why": f.Why, f.Verb.String(): f.Text} {
		var want string
		if json.Unmarshal(m[name], &want) == nil && want != got && f.Verb != native.VerbPing && f.Verb != native.VerbHelp && !strings.Contains(want, "\uFFFD") {
			t.Fatalf("%s is %q, want %q", name, got, want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	small := []byte(`{"pub":"events.chat.1","data":{"text":"hello","n":[1,2,3]},"id":12}`)
	large := []byte(`{"pub":"events.chat.1","data":"` + strings.Repeat("lorem ipsum ", 1365) + `","id":12}`)
	for name, in := range map[string][]byte{"pub_67B": small, "pub_16KiB": large} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			var f native.Frame
			for b.Loop() {
				if native.Parse(in, &f) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
