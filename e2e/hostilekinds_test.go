package e2e

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// hostileKind is one way to be hostile. An attacker has one connection at a
// time, and makes the next one after a pause.
type hostileKind struct {
	name  string
	many  int           // attackers, at full size
	pause time.Duration // between two connections of an attacker
	run   func(a *attempt) (outcome string)
	must  []string // of these outcomes one is there in the end; empty is none in particular
	may   []string // others that are in order, besides that it is still there
}

const (
	pathNative   = "/ws"
	pathSocketIO = "/socket.io/?EIO=4&transport=websocket"
	pathPolling  = "/socket.io/?EIO=4&transport=polling"
)

var hostileKinds = []hostileKind{
	{"a header that drips, a byte a second", 400, time.Second, dripHeader, list("HTTP 400", outcomeCut), nil},
	{"connected, and silent", 350, time.Second, silent, list(outcomeCut), nil},
	{"a WebSocket without auth", 350, time.Second, noAuth, list("closed 4408"), nil},
	{"a token that is forged", 100, 2 * time.Second, forged, list("HTTP 401"), nil},
	{"a message that drips, with pings", 100, time.Second, dripMessage, list("closed 1008"), nil},
	{"200 pings a second", 100, time.Second, pingFlood, nil, nil},
	{"50 publishes a second", 95, time.Second, publishTooFast, nil, nil},
	{"2,000 publishes a second", 5, time.Second, publishFlood, list("closed 4429"), nil},
	{"a bomb of deflate, with a token", 50, 5 * time.Second, bomb, list("closed 4413"), list(outcomeCut)},
	{"a bomb of deflate, without", 50, 2 * time.Second, bombOfNobody, list("closed 4401"), list(outcomeCut)},
	{"a frame of 1 TiB", 50, 2 * time.Second, oversized, list("closed 4413"), nil},
	{"subscribed to all, reads nothing", 150, time.Second, neverRead, nil, nil},
	{"subscribed, then gone without a word", 150, time.Second, goneQuiet, list("closed 1001"), nil},
	{"reset in the middle of a frame", 100, 2 * time.Second, resetMidFrame, list(outcomeLeft), nil},
	{"connects and closes", 150, time.Second, churn, list(outcomeLeft), nil},
	{"20 subscribes and offs a second", 50, time.Second, subOff, nil, nil},
	{"a header of 64 KiB", 50, 2 * time.Second, hugeHeader, list("HTTP 431"), list(outcomeCut)},
	{"10 messages that are no JSON", 50, 2 * time.Second, badJSON, list("closed 4400"), nil},
	{"Socket.IO: joins no namespace", 200, time.Second, sioSilent, list("closed 1000"), nil},
	{"Socket.IO: polling sessions that are left alone", 150, 2 * time.Second, sioAbandon, list("HTTP 200"), nil},
	{"Socket.IO: 10,000 empty packets", 50, 2 * time.Second, sioEmpty, list("HTTP 400"), nil},
	// The end is that of who joins nothing in time: its session was not stored by then.
	{"Socket.IO: joins and leaves twice a second", 50, time.Second, sioLoop, nil, list("closed 1000")},
}

// onTheWire are the kinds that use nothing but connections: slow ones, floods of
// pings, bombs, half-open ones, and those that come and go.
var onTheWire = []string{
	"a header that drips, a byte a second", "connected, and silent", "a WebSocket without auth", "a message that drips, with pings",
	"200 pings a second", "a bomb of deflate, with a token", "a bomb of deflate, without", "a frame of 1 TiB",
	"subscribed, then gone without a word", "reset in the middle of a frame", "connects and closes", "a header of 64 KiB",
}

func list(of ...string) []string { return of }

// Requests that are never whole.

func dripHeader(a *attempt) string {
	if outcome := a.dial(); outcome != "" {
		return outcome
	}
	rest := string(a.head("GET", pathNative, "X-Drip: "+strings.Repeat("x", 1000)))
	return a.until(a.watchHTTP(), time.Second, func() error {
		err := a.write([]byte(rest[:1]))
		rest = rest[1:]
		return err
	})
}

func silent(a *attempt) string {
	if outcome := a.dial(); outcome != "" {
		return outcome
	}
	return <-a.watchHTTP()
}

func hugeHeader(a *attempt) string {
	if outcome := a.dial(); outcome != "" {
		return outcome
	}
	a.sent++
	_ = a.write(append(a.head("GET", pathNative, "X-Large: "+strings.Repeat("x", 64<<10)), "\r\n"...)) // refused before its end
	outcome, _ := a.answer()
	return outcome
}

func churn(a *attempt) string {
	if outcome := a.dial(); outcome != "" {
		return outcome
	}
	return outcomeLeft
}

// Clients that nobody knows.

func noAuth(a *attempt) string {
	if outcome := a.upgrade(pathNative, ""); outcome != "" {
		return outcome
	}
	return <-a.watch(nil)
}

func forged(a *attempt) string {
	a.sent++
	if outcome := a.upgrade(pathNative, a.horde.Forged); outcome != "" {
		return outcome
	}
	return <-a.watch(nil)
}

// deflated is 16 MiB of zeros, in one message.
var deflated = sync.OnceValue(func() string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // the level is one
	zeros := make([]byte, 1<<20)
	for range 16 {
		_, _ = w.Write(zeros) // to memory
	}
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff") // RFC 7692 section 7.2.1
})

func bombFrom(a *attempt, token string) string {
	bomb := appendFrame(nil, bitFin|bitRSV1|opText, deflated()) // made before anybody waits for auth
	if outcome := a.upgrade(pathNative, token, "Sec-WebSocket-Extensions: permessage-deflate"); outcome != "" {
		return outcome
	}
	gone := a.watch(nil)
	a.sent++
	_ = a.write(bomb) // closed before its end
	return <-gone
}

func bombOfNobody(a *attempt) string { return bombFrom(a, "") }

// Clients with a token.

func (a *attempt) token() string { return a.horde.Tokens[a.who%len(a.horde.Tokens)] }

func bomb(a *attempt) string { return bombFrom(a, a.token()) }

func dripMessage(a *attempt) string {
	if outcome := a.upgrade(pathNative, a.token()); outcome != "" {
		return outcome
	}
	gone := a.watch(nil)
	if err := a.write(appendFrame(nil, opText, "{")); err != nil {
		return <-gone
	}
	piece := appendFrame(appendFrame(nil, opContinuation, " "), bitFin|opPing, "")
	return a.until(gone, time.Second, func() error { return a.write(piece) })
}

// floodEvery is how often a flood writes: in bursts, because the attackers' own
// time counts, too.
const floodEvery = 200 * time.Millisecond

// floodMost is how many bursts a flood that has missed some writes at once.
const floodMost = 10

func flooding(a *attempt, burst int, frame []byte) string {
	if outcome := a.upgrade(pathNative, a.token()); outcome != "" {
		return outcome
	}
	all := bytes.Repeat(frame, floodMost*burst)
	begun := time.Now()
	return a.until(a.watch(nil), floodEvery, func() error {
		due := int(time.Since(begun)/floodEvery) * burst // also what ticks were for that never came
		n := min(due-a.sent, floodMost*burst)
		a.sent += n - 1
		return a.write(all[:n*len(frame)])
	})
}

func pingFlood(a *attempt) string { return flooding(a, 40, appendFrame(nil, bitFin|opPing, "ping")) }

func publishTooFast(a *attempt) string { return flooding(a, 10, publication) }
func publishFlood(a *attempt) string   { return flooding(a, 400, publication) }

var publication = appendTextFrame(nil, `{"pub":"events.flood.x","data":"`+strings.Repeat("x", 100)+`"}`)

func oversized(a *attempt) string {
	if outcome := a.upgrade(pathNative, a.token()); outcome != "" {
		return outcome
	}
	gone := a.watch(nil)
	a.sent++
	_ = a.write(append(appendFrameHead(nil, bitFin|opText, 1<<40), "{"...))
	return <-gone
}

// neverRead stays, as it gives signs of life.
func neverRead(a *attempt) string {
	if outcome := a.upgrade(pathNative, a.token()); outcome != "" {
		return outcome
	}
	if t, ok := a.conn.(*net.TCPConn); ok {
		_ = t.SetReadBuffer(4 << 10) // a wish
	}
	sub := appendTextFrame(nil, `{"sub":"events.>","from":"first"}`)
	if err := a.write(sub); err != nil {
		return a.ended(err)
	}
	ping := appendFrame(nil, bitFin|opPing, "")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for a.sent = 1; ; a.sent++ {
		select {
		case <-a.ctx.Done():
			return outcomeHeld
		case <-tick.C:
			if err := a.write(ping); err != nil {
				return a.ended(err)
			}
		}
	}
}

// goneQuiet answers no ping: to the gateway it is a peer that has vanished.
func goneQuiet(a *attempt) string {
	if outcome := a.upgrade(pathNative, a.token()); outcome != "" {
		return outcome
	}
	gone := a.watch(nil)
	a.sent++
	_ = a.write(appendTextFrame(nil, `{"sub":"events.good.r0"}`)) // else it is gone
	return <-gone
}

func resetMidFrame(a *attempt) string {
	if outcome := a.upgrade(pathNative, a.token()); outcome != "" {
		return outcome
	}
	a.sent++
	_ = a.write(append(appendFrameHead(nil, bitFin|opText, 1000), `{"pub":`...))
	if t, ok := a.conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // Close resets
	}
	return outcomeLeft
}

func subOff(a *attempt) string {
	if outcome := a.upgrade(pathNative, a.token()); outcome != "" {
		return outcome
	}
	sids := make(chan string, 1)
	gone := a.watch(func(text []byte) {
		var answer struct{ SID string }
		if json.Unmarshal(text, &answer) == nil && answer.SID != "" {
			select {
			case sids <- answer.SID:
			default:
			}
		}
	})
	sub := appendTextFrame(nil, `{"sub":"events.good.r1"}`)
	return a.until(gone, 50*time.Millisecond, func() error {
		select {
		case sid := <-sids:
			a.sent++
			return a.write(append(appendTextFrame(nil, `{"off":"`+sid+`"}`), sub...))
		default:
			return a.write(sub)
		}
	})
}

func badJSON(a *attempt) string {
	if outcome := a.upgrade(pathNative, a.token()); outcome != "" {
		return outcome
	}
	gone := a.watch(nil)
	a.sent += 10
	_ = a.write(bytes.Repeat(appendTextFrame(nil, `{"pub":"events.flood.x","data":{[`), 10)) // closed after it
	return <-gone
}

// Socket.IO.

func sioSilent(a *attempt) string {
	if outcome := a.upgrade(pathSocketIO, ""); outcome != "" {
		return outcome
	}
	return <-a.watch(nil)
}

// open makes a polling session and returns its sid.
func (a *attempt) open() (outcome, sid string) {
	if outcome := a.dial(); outcome != "" {
		return outcome, ""
	}
	a.sent++
	if err := a.write(append(a.head("GET", pathPolling), "\r\n"...)); err != nil {
		return a.ended(err), ""
	}
	outcome, body := a.answer()
	var hello struct{ SID string }
	if len(body) > 0 {
		_ = json.Unmarshal(body[1:], &hello) // "" then
	}
	return outcome, hello.SID
}

func sioAbandon(a *attempt) string {
	outcome, _ := a.open()
	return outcome
}

func sioEmpty(a *attempt) string {
	outcome, sid := a.open()
	if outcome != "HTTP 200" {
		return outcome
	}
	body := strings.Repeat("\x1e", 10_000)
	a.sent++
	head := a.head("POST", pathPolling+"&sid="+sid, "Content-Type: text/plain", fmt.Sprint("Content-Length: ", len(body)))
	if err := a.write(append(append(head, "\r\n"...), body...)); err != nil {
		return a.ended(err)
	}
	outcome, _ = a.answer()
	return outcome
}

func sioLoop(a *attempt) string {
	if outcome := a.upgrade(pathSocketIO, ""); outcome != "" {
		return outcome
	}
	var mu sync.Mutex // what is written for a tick, and for a packet
	say := func(packet string) error {
		mu.Lock()
		defer mu.Unlock()
		return a.write(appendTextFrame(nil, packet))
	}
	var joining atomic.Bool // a second CONNECT would end it
	gone := a.watch(func(text []byte) {
		switch {
		case bytes.HasPrefix(text, []byte("40")):
			_ = say("41") // else it is gone
			joining.Store(false)
		case bytes.Equal(text, []byte("2")):
			_ = say("3")
		}
	})
	join := `40{"token":"` + a.token() + `"}`
	return a.until(gone, 500*time.Millisecond, func() error {
		if joining.Swap(true) {
			return nil
		}
		return say(join)
	})
}
