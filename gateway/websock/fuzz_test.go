package websock_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/rawws"
)

// FuzzRead sends anything at all and goes away. What comes out is what another
// reader of frames makes of it, written for strictness alone; the end is one of
// the errors that are documented; and memory is bounded by the limit, not by
// what the bytes say.
func FuzzRead(f *testing.F) {
	f.Add(text("hello"), true)
	f.Add(join(frame(0x01, []byte("a")), frame(0x8A, nil), frame(0x80, []byte("b"))), false)
	f.Add(frame(0xC1, deflate([]byte("hello"))), true)
	f.Add(closing(1000, "bye"), false)
	for _, category := range [][]conformance{framing(), pings(), reserved(), opcodes(), fragmentation(), closings(), streams()} {
		for _, c := range category {
			if len(c.ins[0]) < 1000 {
				f.Add(c.ins[0], c.offer != "")
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, compressed bool) {
		got, err := readAll(t, in, compressed)
		most := uint64(1<<20 + 1<<10*len(in))
		n := most + 1
		for try := 0; try < 5 && n > most; try++ { // others allocate, too
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = readAll(t, in, compressed)
			runtime.ReadMemStats(&after)
			n = after.TotalAlloc - before.TotalAlloc
		}
		if n > most {
			t.Errorf("%d bytes allocated, for %d", n, len(in))
		}
		var closed *websock.PeerClosed
		switch code := websock.CloseCode(err); {
		case errors.As(err, &closed):
		case errors.Is(err, websock.ErrTooBig), errors.Is(err, websock.ErrProtocol), errors.Is(err, websock.ErrInvalidData):
			if code != websock.CodeTooBig && code != websock.CodeProtocol && code != websock.CodeInvalidData {
				t.Errorf("%v is closed with %d", err, code)
			}
		case err == io.ErrUnexpectedEOF && code == 0:
		default:
			t.Errorf("the end is %v, code %d", err, code)
		}
		if !compressed {
			want, code := readStrictly(in)
			if !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("got %q, want %q", got, want)
			}
			if (closed != nil) != (code != 0) || closed != nil && closed.Code != code {
				t.Errorf("closed with %v, want %d", err, code)
			}
		}
	})
}

const fuzzLimit = 1000

// readAll gives bytes to a connection and returns the messages that it reads,
// and its end.
func readAll(t *testing.T, in []byte, compressed bool) (messages [][]byte, err error) {
	offer := offerDeflate
	if !compressed {
		offer = nil
	}
	client, c := upgraded(t, websock.Options{MaxMessageBytes: fuzzLimit}, offer)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer c.Close()
	sending.Go(func() {
		for piece := range slices.Chunk(in, 1+len(in)%17) {
			if _, err := client.Write(piece); err != nil {
				return
			}
		}
		client.Close()
	})
	for {
		msg, _, err := c.ReadMessage(nil)
		if err != nil {
			return messages, err
		}
		if len(msg) > fuzzLimit {
			t.Fatalf("%d bytes", len(msg))
		}
		messages = append(messages, msg)
	}
}

// readStrictly is what the other reader finds: messages, and the code of the
// close frame if that is the end.
func readStrictly(in []byte) (messages [][]byte, code websock.Code) {
	r := rawws.Reader{R: bytes.NewReader(in), Masked: true, Max: fuzzLimit}
	for {
		f, err := r.Next()
		switch {
		case err != nil:
			return messages, 0
		case f.Op == rawws.OpClose:
			code, _, _ := rawws.SplitClose(f.Payload) // it has been looked at
			return messages, websock.Code(code)
		case f.Op == rawws.OpText, f.Op == rawws.OpBinary:
			messages = append(messages, f.Payload)
		}
	}
}
