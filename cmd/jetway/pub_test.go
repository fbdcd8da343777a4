package main

import (
	"testing"

	"github.com/jetway-io/jetway/gateway/native"
)

// What is published for later says so, and a job's answer says where to watch
// it.
func TestPubJob(t *testing.T) {
	for name, tt := range map[string]struct {
		args          []string
		asked, stdout string
	}{
		"now":     {nil, "pub jobs.r 1 0s 0001-01-01T00:00:00Z", "q-7 (watch it on jobs.events.r.7)\n"},
		"delay":   {[]string{"--delay", "10m"}, "pub jobs.r 1 10m0s 0001-01-01T00:00:00Z", "q-7 (watch it on jobs.events.r.7)\n"},
		"at":      {[]string{"--at", "2030-02-01T07:00:00+01:00"}, "pub jobs.r 1 0s 2030-02-01T06:00:00Z", "q-7 (watch it on jobs.events.r.7)\n"},
		"as JSON": {[]string{"--json"}, "pub jobs.r 1 0s 0001-01-01T00:00:00Z", `{"ok":true,"pos":"q-7","watch":"jobs.events.r.7"}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			g := newFakeGateway(t, func(p *fakePeer) {
				p.answer(func(f *native.Frame) []string {
					asked = frameText(f) + " " + f.Delay.String() + " " + f.At.Format("2006-01-02T15:04:05Z07:00")
					return []string{`{"ok":%s,"pos":"q-7","watch":"jobs.events.r.7"}`}
				})
			})
			code, stdout, stderr := g.run("", append([]string{"pub", "jobs.r", "1"}, tt.args...)...)
			if code != exitDone || asked != tt.asked || stdout != tt.stdout {
				t.Errorf("exit code %d, asked %q, printed %q, %s", code, asked, stdout, stderr)
			}
		})
	}
}
