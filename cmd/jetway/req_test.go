package main

import (
	"strings"
	"testing"

	"github.com/jetway-io/jetway/gateway/native"
)

func TestReq(t *testing.T) {
	for name, tt := range map[string]struct {
		stdin          string
		args           []string
		answer         string
		asked          string
		code           int
		stdout, stderr string // stderr: what it must contain
	}{
		"JSON":      {args: []string{"svc.a", `{"n":1}`}, answer: `{"ok":%s,"data":{"a": 1}}`, asked: `req svc.a {"n":1} 5s`, stdout: "{\"a\": 1}\n"},
		"text":      {args: []string{"svc.a", "hi", "--wait", "2s"}, answer: `{"ok":%s,"data":null}`, asked: `req svc.a "hi" 2s`, stdout: "null\n"},
		"bytes":     {args: []string{"svc.a", "hi", "--raw"}, answer: `{"ok":%s,"b64":"/wA="}`, asked: `req svc.a hi 5s`, stdout: "\xff\x00"},
		"nothing":   {args: []string{"svc.a", "--wait", "0s"}, answer: `{"ok":%s,"b64":""}`, asked: `req svc.a  0s`},
		"stdin":     {stdin: " [1]\n", args: []string{"svc.a", "-"}, answer: `{"ok":%s,"data":1}`, asked: `req svc.a [1] 5s`, stdout: "1\n"},
		"headers":   {args: []string{"svc.a", "--head", "B=c,A=b"}, answer: `{"ok":%s,"data":1}`, asked: `req svc.a  5s A=b B=c`, stdout: "1\n"},
		"as JSON":   {args: []string{"svc.a", "--json"}, answer: `{"ok":%s,"data":{"a": 1},"head":{"C":"d"}}`, asked: `req svc.a  5s`, stdout: `{"data":{"a":1},"head":{"C":"d"}}` + "\n"},
		"as base64": {args: []string{"svc.a", "--json"}, answer: `{"ok":%s,"b64":"/wA="}`, asked: `req svc.a  5s`, stdout: `{"b64":"/wA="}` + "\n"},
		"service": {args: []string{"svc.a"}, answer: `{"err":%s,"code":"service","msg":"400: not a number"}`, asked: `req svc.a  5s`,
			code: exitFailed, stderr: "jetway: service: 400: not a number\n"},
		"nobody": {args: []string{"svc.a"}, answer: `{"err":%s,"code":"no_responders","msg":"nobody answers on svc.a"}`, asked: `req svc.a  5s`,
			code: exitFailed, stderr: "jetway: no_responders: nobody answers on svc.a\n"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			g := newFakeGateway(t, func(p *fakePeer) {
				p.answer(func(f *native.Frame) []string {
					asked = frameText(f) + " " + f.Wait.String()
					for _, h := range f.Head {
						asked += " " + h.Name + "=" + h.Value
					}
					return []string{tt.answer}
				})
			})
			code, stdout, stderr := g.run(tt.stdin, append([]string{"req"}, tt.args...)...)
			if code != tt.code || stdout != tt.stdout || asked != tt.asked {
				t.Errorf("exit code %d, asked %q, printed %q", code, asked, stdout)
			}
			wants(t, "stderr", stderr, tt.stderr)
		})
	}
}

// A token that is about to end is told to people, and not to programs that
// read the output.
func TestExpiring(t *testing.T) {
	for _, args := range [][]string{{"req", "svc.a"}, {"pub", "events.a", "1"}} {
		g := newFakeGateway(t, func(p *fakePeer) {
			p.answer(func(*native.Frame) []string {
				return []string{`{"expiring":"2031-01-02T02:04:05Z","in":"1m","hint":"send auth"}`, `{"ok":%s,"data":1}`}
			})
		})
		code, stdout, stderr := g.run("", args...)
		if code != exitDone || strings.Contains(stdout, "token") {
			t.Errorf("%v: exit code %d, printed %q", args, code, stdout)
		}
		wants(t, "stderr", stderr, "the token ends in 1m0s, at ")
	}
}
