package brokertest

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

var requestTests = []test{
	{name: "an answer", run: testAnswer},
	{name: "headers both ways", run: testRequestHeaders},
	{name: "a service that fails", run: testServiceError},
	{name: "nobody answers requests on the subject", run: testNoResponders},
	{name: "no answer in time", run: testRequestTimeout, slow: true},
	{name: "several services", run: testManyServices},
	{name: "many at once", run: testManyRequests},
}

// ask sends a request and waits for the outcome; it checks that there is one.
func (r *rig) ask(q *bridge.Request) (*bridge.Event, error) {
	r.Helper()
	var (
		calls  atomic.Int32
		answer *bridge.Event
		err    error
	)
	done := make(chan struct{})
	r.requester.Request(q, func(e *bridge.Event, failed error) {
		if calls.Add(1) > 1 {
			r.Error("Request: done was called twice")
			return
		}
		answer, err = e, failed
		close(done)
	})
	r.await(done, "the outcome of a request")
	if (answer == nil) != (err != nil) {
		r.Fatalf("Request: answer %v, error %v, want one of them", answer, err)
	}
	return answer, err
}

func (r *rig) serve(filter string, fn func(*bridge.Event) *bridge.Event) {
	r.Helper()
	r.Cleanup(r.responder.Serve(filter, fn))
}

// question makes a request.
func question(subject, data string) *bridge.Request {
	return &bridge.Request{Subject: subject, Data: []byte(data), Wait: deadline}
}

// echo answers with the subject and the payload.
func echo(e *bridge.Event) *bridge.Event {
	return &bridge.Event{Data: append([]byte(e.Subject+":"), e.Data...)}
}

func testAnswer(r *rig) {
	r.serve("svc.echo.*", echo)
	for _, data := range [][]byte{nil, []byte("hello"), {0, 0xff, '\r', '\n'}, bytes.Repeat([]byte("x"), 500_000)} {
		e, err := r.ask(&bridge.Request{Subject: "svc.echo.a", Data: data, Wait: deadline})
		r.ok("Request", err)
		equal(r, "the answer is right", bytes.Equal(e.Data, append([]byte("svc.echo.a:"), data...)), true)
		equal(r, "stream", e.Stream, nil)
		equal(r, "sequence", e.Seq, 0)
		equal(r, "time is set", e.Time.IsZero(), false)
		equal(r, "headers", len(e.Head), 0)
	}
}

func testRequestHeaders(r *rig) {
	head := []bridge.Field{
		{Name: "Jetway-User", Value: "ann"}, {Name: "X-Empty", Value: ""}, {Name: "X-Twice", Value: "2"}, {Name: "X-Twice", Value: "1"},
	}
	asked := make(chan []bridge.Field, 1)
	r.serve("svc.head", func(e *bridge.Event) *bridge.Event {
		asked <- e.Head
		return &bridge.Event{Head: []bridge.Field{{Name: "X-Answer", Value: "1"}, {Name: "x-lower", Value: "2"}}}
	})
	q := question("svc.head", "x")
	q.Head = head
	e, err := r.ask(q)
	r.ok("Request", err)
	same(r, "headers of the request", <-asked, head)
	same(r, "headers of the answer", e.Head, []bridge.Field{{Name: "X-Answer", Value: "1"}, {Name: "x-lower", Value: "2"}})
	equal(r, "payload", len(e.Data), 0)
}

// testServiceError: by its headers alone a NATS service says that it failed.
func testServiceError(r *rig) {
	failed := []bridge.Field{{Name: "Nats-Service-Error", Value: "no such user"}, {Name: "Nats-Service-Error-Code", Value: "404"}}
	r.serve("svc.fails", func(*bridge.Event) *bridge.Event {
		return &bridge.Event{Head: failed, Data: []byte("detail")}
	})
	e, err := r.ask(question("svc.fails", "x"))
	r.ok("Request", err)
	same(r, "headers", e.Head, failed)
	equal(r, "payload", string(e.Data), "detail")
}

func testNoResponders(r *rig) {
	r.serve("svc.there", echo)
	for _, subject := range []string{"svc.nobody", "svc.there.not"} {
		_, err := r.ask(question(subject, "x"))
		r.code("Request to "+subject, err, bridge.CodeNoResponders)
	}
	stop := r.responder.Serve("svc.leaves", echo)
	_, err := r.ask(question("svc.leaves", "x"))
	r.ok("Request", err)
	stop()
	r.poll("the service is gone", func() bool {
		_, err := r.ask(question("svc.leaves", "x"))
		if err != nil {
			r.code("Request", err, bridge.CodeNoResponders)
		}
		return err != nil
	})
}

func testRequestTimeout(r *rig) {
	r.serve("svc.silent", func(*bridge.Event) *bridge.Event { return nil })
	q := question("svc.silent", "x")
	q.Wait = 300 * time.Millisecond
	began := time.Now()
	_, err := r.ask(q)
	r.code("Request", err, bridge.CodeTimeout)
	if d := time.Since(began); d < q.Wait*9/10 {
		r.Errorf("it took %v, want %v", d, q.Wait)
	}
}

// testManyServices asks several who all answer: the first answer counts.
func testManyServices(r *rig) {
	for range 3 {
		r.serve("svc.*", echo)
	}
	r.serve("svc.>", func(*bridge.Event) *bridge.Event { return nil })
	for i := range 20 {
		data := fmt.Sprint(i)
		e, err := r.ask(question("svc.a", data))
		r.ok("Request", err)
		equal(r, "the answer", string(e.Data), "svc.a:"+data)
	}
}

func testManyRequests(r *rig) {
	const n = 200
	r.serve("svc.*", echo)
	type outcome struct {
		i   int
		e   *bridge.Event
		err error
	}
	outcomes := make(chan outcome, n)
	for i := range n {
		r.requester.Request(question(fmt.Sprint("svc.", i%7), fmt.Sprint(i)), func(e *bridge.Event, err error) {
			outcomes <- outcome{i, e, err}
		})
	}
	for range n {
		select {
		case o := <-outcomes:
			r.ok("Request", o.err)
			equal(r, "the answer", string(o.e.Data), fmt.Sprintf("svc.%d:%d", o.i%7, o.i))
		case <-time.After(deadline):
			r.Fatal("timed out waiting for an answer")
		}
	}
}
