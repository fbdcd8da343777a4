package client_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

func event(seq int) string {
	return fmt.Sprintf(`{"msg":"s","t":"2030-01-02T03:04:05Z","data":%d,"sid":"s1","pos":"t-%d","lag":0}`, seq, seq)
}

// follow runs Follow against a script and returns what it handed out, and how
// it ended.
func follow(t *testing.T, so client.SubOptions, script func(n int, p *peer)) (*fake, []string, error) {
	t.Helper()
	f, o := serve(t, script)
	var got []string
	err := client.Follow(t.Context(), url, o, "s", so, func(m client.Message) error {
		switch m.Kind {
		case native.KindEvent:
			got = append(got, m.Pos)
		case native.KindGap:
			got = append(got, "gap "+m.After+" "+m.Next)
		case native.KindLive:
			got = append(got, "live")
		case native.KindEnd:
			got = append(got, "end "+m.Why)
		}
		return nil
	})
	return f, got, err
}

// Each way that a connection can end, then the next one goes on after the last
// event; bye.retry is kept to the millisecond.
func TestFollowResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var from []string
		f, got, err := follow(t, client.SubOptions{From: "-10m", Until: "now"}, func(n int, p *peer) {
			p.hi()
			q := p.recv()
			from = append(from, q.From)
			ok := `{"ok":` + q.ID + `,"sid":"s1","from":"t-%d","behind":0}`
			switch n {
			case 0: // no event at all: the answer says where to go on
				p.send(fmt.Sprintf(ok, 3))
			case 1:
				p.send(fmt.Sprintf(ok, 3), event(4), event(5))
				p.close(1012, `{"bye":true,"code":1012,"why":"restart","retry":"7s"}`)
				p.until()
			case 2: // refused for now
				p.send(`{"err":` + q.ID + `,"code":"unavailable","msg":"no","retry":"2s"}`)
				p.until()
			case 3: // meanwhile some were deleted
				p.send(fmt.Sprintf(`{"ok":%s,"sid":"s1","from":"t-8","behind":1,"gap":{"after":"t-5","next":"t-9"}}`, q.ID), event(9), `{"live":"s1","pos":"t-12"}`)
			case 4:
				p.send(fmt.Sprintf(ok, 12), `{"end":"s1","why":"until"}`)
				p.until()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"-10m", "t-3", "t-5", "t-5", "t-12"}; !reflect.DeepEqual(from, want) {
			t.Errorf("subscribed from %q, want %q", from, want)
		}
		if want := []string{"t-4", "t-5", "gap t-5 t-9", "t-9", "live", "end until"}; !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if d := f.dials[2].Sub(f.dials[1]); d != 7*time.Second {
			t.Errorf("came back after %s, the server asked for 7s", d)
		}
		if d := f.dials[3].Sub(f.dials[2]); d != 2*time.Second {
			t.Errorf("came back after %s, the server asked for 2s", d)
		}
	})
}

func TestFollowEnds(t *testing.T) {
	answer := func(p *peer, frames ...string) {
		p.hi()
		p.send(append([]string{`{"ok":` + p.recv().ID + `,"sid":"s1","from":"t-0","behind":0}`}, frames...)...)
		p.until()
	}
	tests := map[string]struct {
		script func(p *peer)
		want   bridge.Code
	}{
		"taken over": {func(p *peer) { answer(p, `{"end":"s1","why":"taken_over"}`) }, bridge.CodeTakenOver},
		"revoked":    {func(p *peer) { answer(p, `{"end":"s1","why":"revoked"}`) }, bridge.CodeForbidden},
		"deleted":    {func(p *peer) { answer(p, `{"end":"s1","why":"stream_deleted"}`) }, bridge.CodeNoStream},
		"refused": {func(p *peer) {
			p.hi()
			p.send(`{"err":` + p.recv().ID + `,"code":"bad_subject","msg":"no"}`)
			p.until()
		}, bridge.CodeBadSubject},
		"closed 4409": {func(p *peer) { p.hi(); p.recv(); p.close(4409, ""); p.until() }, bridge.CodeUnavailable},
		"bye 4401":    {func(p *peer) { p.hi(); p.recv(); p.close(4401, `{"bye":true,"code":4401,"why":"expired"}`); p.until() }, bridge.CodeUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, _, err := follow(t, client.SubOptions{}, func(_ int, p *peer) { tt.script(p) })
				if !errors.Is(err, &bridge.Error{Code: tt.want}) || len(f.dials) != 1 {
					t.Errorf("%v after %d connections, want %s", err, len(f.dials), tt.want)
				}
			})
		})
	}
}

// The pauses double, with jitter, up to a limit, and the context ends them.
func TestFollowBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, o := serve(t, func(_ int, p *peer) { p.close(1011, "") })
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		err := client.Follow(ctx, url, o, "s", client.SubOptions{}, func(client.Message) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		for i := 1; i < len(f.dials); i++ {
			most := min(250*time.Millisecond<<(i-1), 15*time.Second)
			if d := f.dials[i].Sub(f.dials[i-1]); d < most/2 || d > most {
				t.Errorf("pause %d: %s, want %s to %s", i, d, most/2, most)
			}
		}
		if n := len(f.dials); n < 12 || n > 26 {
			t.Errorf("%d connections in two minutes", n)
		}
	})
}

func TestFollowStopsWithTheFunction(t *testing.T) {
	stop := errors.New("enough")
	_, o := serve(t, func(_ int, p *peer) {
		p.hi()
		p.send(`{"ok":`+p.recv().ID+`,"sid":"s1","from":"t-0","behind":1}`, event(1))
		p.until()
	})
	err := client.Follow(t.Context(), url, o, "s", client.SubOptions{}, func(client.Message) error { return stop })
	if err != stop {
		t.Errorf("got %v", err)
	}
}

// A durable subscription moves by seen, and resumes by its name alone.
func TestFollowDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var subs, seen []string
		_, _, err := follow(t, client.SubOptions{As: "me", From: "first", Max: 4}, func(n int, p *peer) {
			p.hi()
			q := p.recv()
			subs = append(subs, q.As+" "+q.From)
			p.send(`{"ok":` + q.ID + `,"sid":"s1","from":"t-0","behind":0}`)
			if n == 1 {
				p.send(`{"end":"s1","why":"until"}`)
				p.until()
				return
			}
			p.send(event(1), event(2), event(3), event(4))
			for len(seen) == 0 || seen[len(seen)-1] != "t-4" {
				f := p.recv()
				seen = append(seen, f.Text)
			}
		})
		if err != nil || !reflect.DeepEqual(subs, []string{"me first", "me "}) {
			t.Errorf("subscribed as %q, %v", subs, err)
		}
		if len(seen) < 1 || len(seen) > 4 {
			t.Errorf("seen %q", seen)
		}
	})
}
