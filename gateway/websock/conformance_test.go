package websock_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// W01: what the Autobahn TestSuite asks of a server, in words and code of this
// package: its categories and their numbers are kept, so that a subtest can be
// looked up there. Each case says all bytes that the client sends and all
// frames that come back, to the end of the connection, and is run over TCP with
// the bytes together, and over a pipe with the bytes one by one, or in 2,000
// pieces where they are many.

// conformance is one case.
type conformance struct {
	id, about string

	ins   [][]byte // each a way to send the same
	want  []rawws.Frame
	end   websock.Code // how the server ends it; 0: it does not, and the client closes with 1000
	offer string       // Sec-WebSocket-Extensions
	agree string       // the answer to it
}

// full makes the suite as large as Autobahn's; see the Makefile.
var full = os.Getenv("JETWAY_CONFORMANCE") == "full"

// either is a size of the full suite, or a smaller one.
func either(large, small int) int {
	if full {
		return large
	}
	return small
}

func TestW01(t *testing.T) {
	tcp, pipe := echoServers(t)
	seen := map[string]bool{}
	for _, category := range [][]conformance{framing(), pings(), reserved(), opcodes(), fragmentation(), unicode(), closings(), limits(), autoFragments(), compressed(), parameters(), offers()} {
		for _, c := range category {
			if seen[c.id] {
				t.Errorf("there are two of %s", c.id)
			}
			seen[c.id] = true
			t.Run(c.id, func(t *testing.T) {
				for i, in := range c.ins {
					c.run(t, fmt.Sprintf("%s, way %d over TCP", c.about, i), in, 0, tcp)
					c.run(t, fmt.Sprintf("%s, way %d in pieces", c.about, i), in, max(1, len(in)/2000), pipe)
				}
			})
		}
	}
}

// run sends one client's bytes in pieces and compares all that comes back.
func (c conformance) run(t *testing.T, name string, in []byte, piece int, dial func() (*rawws.Conn, error)) {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var lines []string
	if c.offer != "" {
		lines = append(lines, "Sec-WebSocket-Extensions: "+c.offer)
	}
	res, err := conn.Open("/", lines...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got := res.Header.Get("Sec-Websocket-Extensions"); got != c.agree {
		t.Errorf("%s: agreed on %q, want %q", name, got, c.agree)
	}
	end := c.end
	if end == 0 {
		in, end = append(bytes.Clone(in), rawws.Bytes(rawws.Close(1000, ""))...), websock.CodeNormal
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { _ = conn.SendChopped(in, piece) }) // the server may stop reading
	got, err := conn.Rest()
	conn.Close()
	if err == nil {
		err = same(got, append(c.want[:len(c.want):len(c.want)], closeFrame(end)))
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// closeFrame is the one with a code, or with none.
func closeFrame(code websock.Code) rawws.Frame {
	if code == websock.CodeNoStatus {
		return rawws.Whole(rawws.OpClose, "")
	}
	return rawws.Close(uint16(code), "")
}

// same compares frames; of a close frame, only the code.
func same(got, want []rawws.Frame) error {
	for i, f := range got {
		if i == len(want) {
			return fmt.Errorf("%d frames too many, first %v", len(got)-i, f)
		}
		if f.Op == rawws.OpClose {
			f.Payload = f.Payload[:min(2, len(f.Payload))]
		}
		if f.Op != want[i].Op || !bytes.Equal(f.Payload, want[i].Payload) {
			return fmt.Errorf("frame %d is %v, want %v", i, f, want[i])
		}
	}
	if len(got) < len(want) {
		return fmt.Errorf("only %d frames, next should be %v", len(got), want[len(got)])
	}
	return nil
}

// echoServers serve what comes back to who sent it, over TCP and over pipes.
func echoServers(t *testing.T) (tcp, pipe func() (*rawws.Conn, error)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pipes := rawws.Listen()
	var sessions, listeners sync.WaitGroup
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Add(1)
		defer sessions.Done()
		if c, err := websock.Upgrade(w, r, websock.Options{MaxMessageBytes: 16 << 20}); err == nil {
			echo(c)
		}
	})}
	for _, l := range []net.Listener{l, pipes} {
		listeners.Go(func() { _ = s.Serve(l) }) // until it is closed
	}
	t.Cleanup(func() {
		_ = s.Close()
		listeners.Wait()
		sessions.Wait()
	})
	return func() (*rawws.Conn, error) { return rawws.Dial(l.Addr().String()) },
		func() (*rawws.Conn, error) {
			nc, err := pipes.Dial()
			if err != nil {
				return nil, err
			}
			return rawws.New(nc), nil
		}
}

// echo is the smallest server that does all that RFC 6455 wants of one.
func echo(c *websock.Conn) {
	var out bridge.Output
	flush := func() error {
		defer out.Reset()
		return c.Write(&out)
	}
	c.OnPing(func() {
		c.AppendPong(&out)
		_ = flush() // the next read fails, too
	})
	for {
		msg, text, err := c.ReadMessage(nil)
		if err != nil {
			break
		}
		if text {
			websock.AppendText(&out, msg)
		} else {
			websock.AppendBinary(&out, msg)
		}
		if flush() != nil {
			break
		}
	}
	_, _, err := c.ReadMessage(nil)
	if code := websock.CloseCode(err); code != 0 {
		websock.AppendClose(&out, code, "")
		if flush() == nil {
			_ = c.Finish(10 * time.Second) // it is over either way
			return
		}
	}
	c.Close()
}

// bytesOf is a case's one way to send.
func bytesOf(frames ...rawws.Frame) [][]byte { return [][]byte{rawws.Bytes(frames...)} }

func frames(f ...rawws.Frame) []rawws.Frame { return f }

// with changes frames: their reserved bits, for instance.
func with(f rawws.Frame, change func(*rawws.Frame)) rawws.Frame {
	change(&f)
	return f
}

func rsv(bits byte) func(*rawws.Frame) { return func(f *rawws.Frame) { f.RSV = bits } }

func form(l rawws.Form) func(*rawws.Frame) { return func(f *rawws.Frame) { f.Form = l } }

// prose is n bytes of text of which 2 in 3 runes are longer than a byte.
func prose(n int) string {
	const sample = "Žluťoučký kůň 漂流 and 🚀 go on; "
	s := strings.Repeat(sample, n/len(sample)+1)
	for n > 0 && s[n]&0xC0 == 0x80 { // within a rune
		n--
	}
	return s[:n]
}
