package sio_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/sio"
)

// What is emitted is stored in a form that services can read, and comes out as
// it went in.
func TestPayload(t *testing.T) {
	hole := func(n int) string { return fmt.Sprintf(`{"_placeholder":true,"num":%d}`, n) }
	for _, tt := range []struct {
		name        string
		args        []string
		attachments []string
		stored      string
		head        string // name=value
		out         string // other than the arguments
	}{
		{"none", nil, nil, `null`, "", `,null`},
		{"one", []string{`{ "a" : 1e400 }`}, nil, `{ "a" : 1e400 }`, "", ""},
		{"an array is one argument", []string{`[1,2]`}, nil, `[1,2]`, "", ""},
		{"several", []string{`1`, `"b"`, `[true]`}, nil, `[1,"b",[true]]`, "Jetway-Args=3", ""},
		{"html stays as it is", []string{`"<b>&"`}, nil, `"<b>&"`, "", ""},
		{"lone binary", []string{hole(0)}, []string{"\x00\xff"}, "\x00\xff", "", ""},
		{"lone binary that is JSON text", []string{hole(0)}, []string{`{}`}, `{}`, "", `,{}`},
		{"binary inside", []string{`{"x":` + hole(0) + `}`}, []string{"\x01"}, `{"x":{"_placeholder":true,"num":0,"b64":"AQ=="}}`, "Jetway-Attachments=1", ""},
		{"binary among several", []string{hole(0), `2`, `[` + hole(1) + `]`}, []string{"a", ""},
			`[{"_placeholder":true,"num":0,"b64":"YQ=="},2,[{"_placeholder":true,"num":1,"b64":""}]]`, "Jetway-Args=3 Jetway-Attachments=2", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var args, attachments [][]byte
			for _, a := range tt.args {
				args = append(args, []byte(a))
			}
			for _, a := range tt.attachments {
				attachments = append(attachments, []byte(a))
			}
			data, head, err := sio.Payload(args, attachments)
			if err != nil {
				t.Fatal(err)
			}
			var named []string
			for _, f := range head {
				named = append(named, f.Name+"="+f.Value)
			}
			if string(data) != tt.stored || strings.Join(named, " ") != tt.head {
				t.Errorf("stored %s with %q", data, named)
			}
			out, back := sio.Arguments(&bridge.Event{Data: data, Head: head})
			want := tt.out
			if want == "" {
				want = "," + strings.Join(tt.args, ",")
			}
			if string(out) != want {
				t.Errorf("came out as %s, want %s", out, want)
			}
			if tt.out == "" && fmt.Sprintf("%q", back) != fmt.Sprintf("%q", attachments) {
				t.Errorf("attachments %q, want %q", back, attachments)
			}
		})
	}
}

// What others publish reaches clients in a form that does not close their
// connections, whatever the headers claim.
func TestArgumentsOfOthers(t *testing.T) {
	for _, tt := range []struct {
		name, data, head string
		out              string
		binary           bool
	}{
		{"text", `hello`, "", "", true},
		{"nothing", ``, "", "", true},
		{"a forged placeholder", `{"_placeholder":true,"num":0}`, "", "", true},
		{"a forged placeholder inside", `{"a":[{"num":7,"_placeholder":true}]}`, "", "", true},
		{"arguments that are none", `{"a":1}`, "Jetway-Args=2", `,{"a":1}`, false},
		{"too few arguments", `[1]`, "Jetway-Args=2", `,[1]`, false},
		{"arguments with space", ` [ 1 , 2 ] `, "Jetway-Args=2", `,1 , 2`, false},
		{"attachments that are none", `{"a":1}`, "Jetway-Attachments=3", `,{"a":1}`, false},
		{"eleven attachments", `[` + strings.Repeat(`{"_placeholder":true,"num":0,"b64":""},`, 11) + `1]`, "Jetway-Attachments=11", "", true},
		{"too deep for clients", strings.Repeat("[", 70) + strings.Repeat("]", 70), "", "," + strings.Repeat("[", 70) + strings.Repeat("]", 70), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &bridge.Event{Data: []byte(tt.data)}
			if name, value, ok := strings.Cut(tt.head, "="); ok {
				e.Head = []bridge.Field{{Name: name, Value: value}}
			}
			out, attachments := sio.Arguments(e)
			if tt.binary {
				if string(out) != `,{"_placeholder":true,"num":0}` || len(attachments) != 1 || !bytes.Equal(attachments[0], e.Data) {
					t.Errorf("got %s with %q, want the bytes", out, attachments)
				}
			} else if string(out) != tt.out || len(attachments) > 0 {
				t.Errorf("got %s with %q, want %s", out, attachments, tt.out)
			}
		})
	}
}
