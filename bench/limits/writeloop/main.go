// Command writeloop is what cannot be beaten: a server that takes an event and
// writes it to each subscriber, and does nothing else. It stores nothing, checks
// nothing, and waits for who is slow.
//
// With -coalesce, the events that have come while the last ones were written
// go to each subscriber with one system call.
package main

import (
	"bytes"
	"flag"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8000", "where clients connect")
	coalesce := flag.Bool("coalesce", false, "one write for all events that wait")
	flag.Parse()
	l := &loop{coalesce: *coalesce, subs: map[string][]*client{}, queue: make(chan event, 1024)}
	go l.run()
	log.Fatal(http.ListenAndServe(*listen, l))
}

type client struct {
	ws *websocket.Conn
	nc net.Conn
	mu sync.Mutex // one write at a time
}

// event is what one client has published; ack is what it is answered.
type event struct {
	from          *client
	ack           []byte
	subject, text string
}

type loop struct {
	coalesce bool
	queue    chan event

	mu   sync.Mutex
	subs map[string][]*client // Guarded by mu.
}

// upgrader has buffers as small as they get: an idle client needs none.
var upgrader = websocket.Upgrader{ReadBufferSize: 256, WriteBufferSize: 256, WriteBufferPool: new(sync.Pool)}

// ServeHTTP lets the goroutine of net/http end, which holds more memory than
// all the rest.
func (l *loop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	go l.listen(&client{ws: ws, nc: ws.NetConn()})
}

func (l *loop) listen(c *client) {
	defer c.ws.Close()
	for {
		_, p, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		verb, rest, _ := bytes.Cut(p, []byte{' '})
		switch string(verb) {
		case "sub":
			l.subscribe(string(rest), c)
			if err := c.write(frame(nil, "sub")); err != nil {
				return
			}
		case "pub":
			id, rest, _ := bytes.Cut(rest, []byte{' '})
			subject, text, _ := bytes.Cut(rest, []byte{' '})
			l.queue <- event{c, append([]byte("pub "), id...), string(subject), string(text)}
		}
	}
}

func (l *loop) subscribe(subject string, c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subs[subject] = append(l.subs[subject], c)
}

func (l *loop) subscribers(subject string) []*client {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.subs[subject]
}

// run hands out what is in the queue.
func (l *loop) run() {
	var batch []event
	for e := range l.queue {
		batch = append(batch[:0], e)
		for l.coalesce && len(batch) < cap(l.queue) && len(l.queue) > 0 {
			batch = append(batch, <-l.queue)
		}
		l.deliver(batch)
	}
}

func (l *loop) deliver(batch []event) {
	texts, acks := map[string][]byte{}, map[*client][]byte{}
	for _, e := range batch {
		texts[e.subject] = frame(texts[e.subject], e.text)
		acks[e.from] = frame(acks[e.from], string(e.ack))
	}
	for subject, text := range texts {
		for _, c := range l.subscribers(subject) {
			_ = c.write(text) // who is gone gets nothing
		}
	}
	for c, ack := range acks {
		_ = c.write(ack)
	}
}

// frame appends a text message as the server writes it.
func frame(dst []byte, text string) []byte {
	dst = append(dst, 0x81)
	if len(text) < 126 {
		dst = append(dst, byte(len(text)))
	} else {
		dst = append(dst, 126, byte(len(text)>>8), byte(len(text)))
	}
	return append(dst, text...)
}

func (c *client) write(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.nc.Write(p)
	return err
}
