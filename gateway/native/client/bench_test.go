package client_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
)

// benchServer is a server over TCP with one script for all connections.
func benchServer(b *testing.B, script func(p *benchPeer)) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websock.Upgrade(w, r, websock.Options{})
		if err != nil {
			return
		}
		defer c.Close()
		p := &benchPeer{c: c}
		p.add(native.AppendHi(nil, &native.Hi{}))
		p.flush()
		script(p)
	}))
	b.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

type benchPeer struct {
	c   *websock.Conn
	out bridge.Output
	f   native.Frame
}

func (p *benchPeer) add(text []byte) { websock.AppendText(&p.out, text) }

func (p *benchPeer) flush() bool {
	err := p.c.Write(&p.out)
	p.out.Reset()
	return err == nil
}

func (p *benchPeer) next() bool {
	b, _, err := p.c.ReadMessage(nil)
	return err == nil && native.Parse(b, &p.f) == nil
}

func BenchmarkPublish(b *testing.B) {
	url := benchServer(b, func(p *benchPeer) {
		for p.next() {
			p.add(native.AppendOK(nil, p.f.ID))
			p.flush()
		}
	})
	data := []byte(`"` + strings.Repeat("x", 126) + `"`)
	c, err := client.Dial(b.Context(), url, client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.Run("wait_128B", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Publish(b.Context(), "events.x", data, client.PubOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("async_128B", func(b *testing.B) {
		b.ReportAllocs()
		var wg sync.WaitGroup
		for b.Loop() {
			wg.Add(1)
			if err := c.PublishAsync(b.Context(), "events.x", data, client.PubOptions{}, func(client.Ack, error) { wg.Done() }); err != nil {
				b.Fatal(err)
			}
		}
		wg.Wait()
	})
}

func BenchmarkReceive(b *testing.B) {
	url := benchServer(b, func(p *benchPeer) {
		if !p.next() {
			return
		}
		p.add(fmt.Appendf(nil, `{"ok":%s,"sid":"s1","from":"t-0","behind":0}`, p.f.ID))
		e := &bridge.Event{Subject: "events.x", Data: []byte(`"` + strings.Repeat("x", 126) + `"`)}
		for seq := uint64(1); ; seq++ {
			native.Encoder{}.Event(&p.out, &bridge.Delivery{Event: e, SID: "s1", Pos: bridge.Position{{Tag: "t", Seq: seq}}})
			if seq%64 == 0 && !p.flush() {
				return
			}
		}
	})
	c, err := client.Dial(b.Context(), url, client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	s, err := c.Subscribe(b.Context(), "events.x", client.SubOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
