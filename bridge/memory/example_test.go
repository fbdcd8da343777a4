package memory_test

import (
	"context"
	"fmt"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/bridge/memory"
)

func ExampleNew() {
	b, err := memory.New(memory.Options{Streams: []memory.Stream{{Name: "EVENTS", Subjects: []string{"events.>"}}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()

	for _, room := range []string{"1", "2", "1"} {
		p := &bridge.Publication{Subject: "events.chat." + room, Data: []byte("hello " + room)}
		b.Publish(p, func(r bridge.Receipt, err error) { fmt.Println("stored:", r.Seq, err) })
	}
	batch, err := b.Read(context.Background(), bridge.ReadRequest{Filter: "events.chat.1", MaxMessages: 10})
	for _, e := range batch.Events {
		fmt.Println(e.Seq, e.Subject, string(e.Data))
	}
	fmt.Println("next:", batch.Next, err)
	// Output:
	// stored: 1 <nil>
	// stored: 2 <nil>
	// stored: 3 <nil>
	// 1 events.chat.1 hello 1
	// 3 events.chat.1 hello 1
	// next: 4 <nil>
}
