package websock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/gateway/websock"
)

// W09: whatever a client floods with is read at the rate, and all of it in the
// end; a burst of a second's worth is read at once.
func TestMaxRate(t *testing.T) {
	for name, flood := range map[string][]byte{"messages": text("x"), "pings": frame(0x89, nil), "pongs": frame(0x8A, nil)} {
		for _, tt := range []struct {
			frames      int
			least, most time.Duration
		}{{90, 0, 0}, {350, 2400 * time.Millisecond, 2600 * time.Millisecond}} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, c := upgraded(t, websock.Options{MaxRate: 100}, nil)
					var all [][]byte
					for range tt.frames {
						all = append(all, flood)
					}
					send(client, append(all, text("done"))...)
					begin := time.Now()
					for {
						msg, _, err := c.ReadMessage(nil)
						if err != nil {
							t.Fatal(err)
						}
						if string(msg) == "done" {
							break
						}
					}
					if took := time.Since(begin); took < tt.least || took > tt.most {
						t.Errorf("%d frames took %s", tt.frames, took)
					}
				})
			})
		}
	}
}
