package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/gateway/native"
)

// letterFrame is a dead letter as the gateway sends it.
func letterFrame(seq int, queue, reason string) string {
	return fmt.Sprintf(`{"msg":"dead.%s","t":"2030-01-02T03:04:06Z","head":{"Jetway-Queue":%q,"Jetway-Job":"51","Jetway-Time":"2030-01-02T03:04:05Z",`+
		`"Jetway-Tries":"5","Jetway-Worker":"ann","Jetway-Reason":%s,"Trace":"x"},"data":{"w": 1},"sid":"s1","pos":"dead-%d","lag":0}`,
		queue, queue, quote(reason), seq)
}

// graveyard has three dead letters, and something else on their subjects. It
// notes what it is asked.
func graveyard(t *testing.T, asked *[]string) *fakeGateway {
	return newFakeGateway(t, func(p *fakePeer) {
		p.answer(func(f *native.Frame) []string {
			*asked = append(*asked, strings.TrimSpace(frameText(f)+" "+f.From+" "+f.Until))
			if f.Verb == native.VerbReq {
				switch data := string(f.Data); {
				case strings.Contains(data, "gone"):
					return []string{`{"err":%s,"code":"not_found","msg":"no such dead letter"}`}
				case strings.Contains(data, "dead-9"):
					return []string{`{"err":%s,"code":"queue_full","msg":"the queue is full"}`}
				case f.Text == "dead.requeue":
					return []string{`{"ok":%s,"data":{"pos":"q-60","watch":"jobs.events.r.60"}}`}
				}
				return []string{`{"ok":%s,"data":{}}`}
			}
			frames := []string{`{"ok":%s,"sid":"s1","from":"dead-0","behind":3}`}
			if f.From == "first" {
				frames = append(frames, letterFrame(3, "jobs.r", "exit status 1"), `{"msg":"dead.end","t":"2030-01-02T03:04:05Z","data":1,"sid":"s1","pos":"dead-4","lag":0}`)
			}
			if f.From != "dead-7" {
				frames = append(frames, letterFrame(7, "jobs.r", "no\x1b[2J"))
			}
			return append(frames, letterFrame(9, "jobs.s", "")+"", `{"end":"s1","why":"until"}`)
		})
	})
}

func TestDeadLs(t *testing.T) {
	var asked []string
	g := graveyard(t, &asked)
	code, stdout, stderr := g.run("", "dead", "ls")
	want := "dead-3  2030-01-02T03:04:06Z  jobs.r  tries 5  exit status 1\n" +
		"dead-7  2030-01-02T03:04:06Z  jobs.r  tries 5  no?[2J\n" +
		"dead-9  2030-01-02T03:04:06Z  jobs.s  tries 5  \n"
	if code != exitDone || stdout != want {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	code, stdout, _ = g.run("", "dead", "ls", "jobs.*", "--json")
	first, _, _ := strings.Cut(stdout, "\n")
	want = `{"id":"dead-3","queue":"jobs.r","job":"51","stored":"2030-01-02T03:04:05Z","died":"2030-01-02T03:04:06Z","tries":5,"worker":"ann","reason":"exit status 1","head":{"Trace":"x"},"data":{"w":1}}`
	if code != exitDone || first != want || strings.Count(stdout, "\n") != 3 {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if want := []string{"sub dead.> first now", "sub dead.jobs.* first now"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

func TestDeadShow(t *testing.T) {
	var asked []string
	g := graveyard(t, &asked)
	code, stdout, stderr := g.run("", "dead", "show", "dead-7")
	want := `id       dead-7
queue    jobs.r
job      51
stored   2030-01-02T03:04:05Z
died     2030-01-02T03:04:06Z
tries    5
worker   ann
reason   no?[2J
header   Trace: x

{"w": 1}
`
	if code != exitDone || stdout != want {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	if code, stdout, _ := g.run("", "dead", "show", "dead-7", "--json"); code != exitDone || !strings.HasPrefix(stdout, `{"id":"dead-7",`) {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	// The next one is not the one that was asked for.
	if code, _, stderr := g.run("", "dead", "show", "dead-8"); code != exitFailed || !strings.Contains(stderr, "not_found: there is no dead letter dead-8") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if code, _, stderr := g.run("", "dead", "show", "nonsense"); code != exitFailed || !strings.Contains(stderr, "there is no dead letter nonsense") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if want := []string{"sub dead.> dead-6 now", "sub dead.> dead-6 now", "sub dead.> dead-7 now", "sub dead.> first now"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

func TestDeadDecide(t *testing.T) {
	for name, tt := range map[string]struct {
		args           []string
		asked          []string // requests only
		code           int
		stdout, stderr string
	}{
		"requeue": {[]string{"requeue", "dead-3", "dead-7"},
			[]string{`req dead.requeue {"pos":"dead-3"}`, `req dead.requeue {"pos":"dead-7"}`}, exitDone,
			"dead-3 is now q-60, watch it on jobs.events.r.60\ndead-7 is now q-60, watch it on jobs.events.r.60\n", ""},
		"requeue as JSON": {[]string{"requeue", "dead-3", "--json"}, []string{`req dead.requeue {"pos":"dead-3"}`}, exitDone,
			`{"id":"dead-3","pos":"q-60","watch":"jobs.events.r.60"}` + "\n", ""},
		"drop": {[]string{"drop", "dead-3"}, []string{`req dead.drop {"pos":"dead-3"}`}, exitDone, "dead-3 is gone\n", ""},
		"drop as JSON": {[]string{"drop", "dead-3", "--json"}, []string{`req dead.drop {"pos":"dead-3"}`}, exitDone,
			`{"id":"dead-3"}` + "\n", ""},
		"one that is gone": {[]string{"drop", "gone-1", "dead-3"}, []string{`req dead.drop {"pos":"gone-1"}`, `req dead.drop {"pos":"dead-3"}`}, exitFailed,
			"dead-3 is gone\n", "jetway: gone-1: not_found: no such dead letter\n"},
		"all of a queue, unconfirmed": {[]string{"drop", "--all", "jobs.r"}, nil, exitUsage, "", "this would drop 3 dead letters: add --yes if you mean it"},
		"all": {[]string{"requeue", "--all", "--yes"},
			[]string{`req dead.requeue {"pos":"dead-3"}`, `req dead.requeue {"pos":"dead-7"}`, `req dead.requeue {"pos":"dead-9"}`}, exitFailed,
			"dead-3 is now q-60, watch it on jobs.events.r.60\ndead-7 is now q-60, watch it on jobs.events.r.60\n", "dead-9: queue_full: the queue is full"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			code, stdout, stderr := graveyard(t, &asked).run("", append([]string{"dead"}, tt.args...)...)
			asked = slices.DeleteFunc(asked, func(s string) bool { return strings.HasPrefix(s, "sub ") })
			if code != tt.code || stdout != tt.stdout || !slices.Equal(asked, tt.asked) {
				t.Errorf("exit code %d, asked %q\n%s", code, asked, stdout)
			}
			wants(t, "stderr", stderr, tt.stderr)
		})
	}
}

// With --all, a letter that somebody else has taken meanwhile is no failure.
func TestDeadAllMeanwhile(t *testing.T) {
	g := newFakeGateway(t, func(p *fakePeer) {
		p.answer(func(f *native.Frame) []string {
			if f.Verb == native.VerbReq {
				return []string{`{"err":%s,"code":"not_found","msg":"no such dead letter"}`}
			}
			return []string{`{"ok":%s,"sid":"s1","from":"dead-0","behind":1}`, letterFrame(3, "jobs.r", ""), `{"end":"s1","why":"until"}`}
		})
	})
	if code, _, stderr := g.run("", "dead", "drop", "--all", "--yes"); code != exitDone || stderr != "dead-3 is not there any more\n" {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
