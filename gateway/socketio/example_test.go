package socketio_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

// A chat that knows its people, and a client that speaks the protocol by hand.
func ExampleServer() {
	sockets := socketio.NewServer(socketio.Options{
		Authorize: func(_ context.Context, s *socketio.Socket) error {
			var auth struct{ Name string }
			if err := (socketio.Arg{JSON: s.Auth()}).Decode(&auth); err != nil || auth.Name == "" {
				return &socketio.ConnectError{Message: "who are you?"}
			}
			s.Data = auth.Name
			return nil
		},
		Namespaces: map[string]func(*socketio.Socket){"/": func(s *socketio.Socket) {
			s.On("say", func(args socketio.Args, ack socketio.Ack) {
				var text string
				if err := args.Decode(&text); err != nil {
					return
				}
				_ = s.Emit("said", s.Data, text) // a client that takes nothing misses it
				ack("ok", len(text))
			})
		}},
	})
	engine := engineio.NewServer(engineio.Options{Handler: sockets})
	server := httptest.NewServer(engine)
	defer server.Close()
	defer func() { _ = engine.Shutdown(context.Background()) }()

	client, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	read := func() {
		_, frame, _ := client.ReadMessage()
		before, _, secret := strings.Cut(string(frame), `{"sid"`)
		if secret {
			before += "{…}"
		}
		fmt.Println(before)
	}
	read()
	for _, packet := range []string{`40{}`, `40{"name":"Ann"}`, `421["say","hello"]`} {
		_ = client.WriteMessage(websocket.TextMessage, []byte(packet))
		read()
	}
	read()
	// Output:
	// 0{…}
	// 44{"message":"who are you?"}
	// 40{…}
	// 42["said","Ann","hello"]
	// 431["ok",5]
}

// A payload of JSON text, as it was written.
func ExamplePacket_Append() {
	p := socketio.Packet{
		Type:      socketio.PacketEvent,
		Namespace: "/chat",
		ID:        12, HasID: true,
		Data: socketio.AppendEvent(nil, "said", []byte(`{"n": 1.0}`)),
	}
	fmt.Printf("%s\n", p.Append(nil))
	// Output: 2/chat,12["said",{"n": 1.0}]
}
