package socketio_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jetway-io/jetway/gateway/engineio"
	"github.com/jetway-io/jetway/gateway/socketio"
)

const twoPlaceholders = `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}`

// What the protocol's test suite asks of a server, line by line, after the
// handshake of Engine.IO.
var conformance = map[string]func(t *testing.T, s *site){
	"connect": func(t *testing.T, s *site) {
		s.dial(false).send("40").want("40*", `42["auth",{}]`)
	},
	"connect with a payload": func(t *testing.T, s *site) {
		s.dial(false).send(`40{"token":"123"}`).want("40*", `42["auth",{"token":"123"}]`)
	},
	"the payload is echoed byte for byte": func(t *testing.T, s *site) {
		s.dial(false).send(`40{"b" : "<&>\u2028\/", "a":1.0}`).want("40*", `42["auth",{"b" : "<&>\u2028\/", "a":1.0}]`)
	},
	"custom namespace": func(t *testing.T, s *site) {
		s.dial(false).send("40/custom,").want("40/custom,*", `42/custom,["auth",{}]`)
	},
	"custom namespace without a comma": func(t *testing.T, s *site) {
		s.dial(false).send("40/custom").want("40/custom,*", `42/custom,["auth",{}]`)
	},
	"custom namespace with a payload": func(t *testing.T, s *site) {
		s.dial(false).send(`40/custom,{"token":"abc"}`).want("40/custom,*", `42/custom,["auth",{"token":"abc"}]`)
	},
	"unknown namespace": func(t *testing.T, s *site) {
		c := s.dial(false).send("40/random")
		c.want(`44/random,{"message":"Invalid namespace"}`)
		c.send("40").want("40*", `42["auth",{}]`)
	},
	"something else before the handshake": func(t *testing.T, s *site) {
		s.dial(false).send("4abc").want(closed)
	},
	"no handshake": func(t *testing.T, s *site) {
		c, start := s.dial(false), time.Now()
		c.want(closed)
		if d := time.Since(start); d != time.Second {
			t.Errorf("closed after %s", d)
		}
	},
	"disconnect": func(t *testing.T, s *site) {
		c, start := s.dial(true), time.Now()
		c.send("40").want("40*", `42["auth",{}]`)
		c.send("41").want("2")
		if d := time.Since(start); d != 300*time.Millisecond {
			t.Errorf("ping after %s", d)
		}
		c.send("40").want("40*", `42["auth",{}]`)
	},
	"disconnect from a custom namespace": func(t *testing.T, s *site) {
		c := s.joined()
		c.send("40/custom").want("40/custom,*", `42/custom,["auth",{}]`)
		c.send("41/custom", `42["message","still there"]`).want(`42["message-back","still there"]`)
	},
	"event": func(t *testing.T, s *site) {
		s.joined().send(`42["message",1,"2",{"3":[true]}]`).want(`42["message-back",1,"2",{"3":[true]}]`)
	},
	"event, byte for byte": func(t *testing.T, s *site) {
		s.joined().send(`42["message" , 1.0,1e3 , "<\u00e9\/&>",{ "a" : [ ] }]`).want(`42["message-back",1.0,1e3,"<\u00e9\/&>",{ "a" : [ ] }]`)
	},
	"event without arguments": func(t *testing.T, s *site) {
		s.joined().send(`42["message"]`).want(`42["message-back"]`)
	},
	"binary event": func(t *testing.T, s *site) {
		s.joined().send(`452-["message",`+twoPlaceholders+`]`, "b:\x01\x02\x03", "b:\x04\x05\x06").
			want(`452-["message-back",`+twoPlaceholders+`]`, "b:\x01\x02\x03", "b:\x04\x05\x06")
	},
	"binary event, out of order and within": func(t *testing.T, s *site) {
		s.joined().send(`452-["message",{"a":[{"_placeholder":true,"num":1}]},2,{"_placeholder":true,"num":0}]`, "b:zero", "b:").
			want(`452-["message-back",{"a":[{"_placeholder":true,"num":0}]},2,{"_placeholder":true,"num":1}]`, "b:", "b:zero")
	},
	"ack": func(t *testing.T, s *site) {
		s.joined().send(`42456["message-with-ack",1,"2",{"3":[false]}]`).want(`43456[1,"2",{"3":[false]}]`)
	},
	"ack without arguments": func(t *testing.T, s *site) {
		s.joined().send(`420["message-with-ack"]`).want(`430[]`)
	},
	"binary ack": func(t *testing.T, s *site) {
		s.joined().send(`452-789["message-with-ack",`+twoPlaceholders+`]`, "b:abc", "b:de").
			want(`462-789[`+twoPlaceholders+`]`, "b:abc", "b:de")
	},
	"unknown packet type": func(t *testing.T, s *site) { s.joined().send("4abc").want(closed) },
	"invalid payload":     func(t *testing.T, s *site) { s.joined().send("42{}").want(closed) },
	"invalid ack id":      func(t *testing.T, s *site) { s.joined().send(`42abc["message-with-ack",1]`).want(closed) },
	"an event nobody listens to": func(t *testing.T, s *site) {
		s.joined().send(`42["x"]`, `42["message",1]`).want(`42["message-back",1]`)
	},
	"namespace not joined":      func(t *testing.T, s *site) { s.joined().send(`42/custom,["message"]`).want(closed) },
	"namespace left":            func(t *testing.T, s *site) { s.joined().send("41", `42["message"]`).want(closed) },
	"connect twice":             func(t *testing.T, s *site) { s.joined().send("40").want(closed) },
	"connect error of a client": func(t *testing.T, s *site) { s.joined().send(`44{"message":"x"}`).want(closed) },
	"ids": func(t *testing.T, s *site) {
		c := s.dial(false)
		main, custom := c.send("40").want("40*", `42["auth",{}]`), c.send("40/custom").want("40/custom,*", `42/custom,["auth",{}]`)
		if main == custom {
			t.Error("two namespaces have the same sid")
		}
	},
	"polling": func(t *testing.T, s *site) {
		sid := strings.Split(s.poll("GET", "", ""), `"`)[3]
		if got := s.poll("POST", sid, "40") + s.poll("GET", sid, ""); !strings.HasPrefix(got, `ok40{"sid":"`) || strings.Contains(got, sid) {
			t.Errorf("got %s", got)
		}
		s.poll("POST", sid, `451-7["message-with-ack",{"_placeholder":true,"num":0}]`+"\x1ebAQID")
		time.Sleep(time.Millisecond)
		if got := s.poll("GET", sid, ""); got != `461-7[{"_placeholder":true,"num":0}]`+"\x1ebAQID" && got != `42["auth",{}]`+"\x1e"+`461-7[{"_placeholder":true,"num":0}]`+"\x1ebAQID" {
			t.Errorf("got %q", got)
		}
	},
}

func TestConformance(t *testing.T) {
	for name, test := range conformance {
		t.Run(name, func(t *testing.T) { serve(t, echo(), timings, test) })
	}
}

// The same over msgpack, which the first message chooses.
func TestMsgpackWire(t *testing.T) {
	pack := func(p socketio.Packet) string {
		b, err := p.AppendMsgpack(nil)
		if err != nil {
			t.Fatal(err)
		}
		return "b:" + string(b)
	}
	event := func(data string, id uint64, attachments ...string) socketio.Packet {
		p := socketio.Packet{Type: socketio.PacketEvent, Data: []byte(data), ID: id, HasID: id > 0}
		for _, a := range attachments {
			p.Attachments = append(p.Attachments, []byte(a))
		}
		return p
	}
	open := func(s *site) *client {
		c := s.dial(false).send(pack(socketio.Packet{Data: []byte(`{"a":1}`)}))
		p, err := socketio.DecodeMsgpack([]byte(c.next()[2:]))
		if err != nil || p.Type != socketio.PacketConnect || !strings.HasPrefix(string(p.Data), `{"sid":"`) {
			t.Fatalf("%+v, %v", p, err)
		}
		c.want(pack(event(`["auth",{"a":1}]`, 0)))
		return c
	}
	tests := map[string]func(t *testing.T, s *site){
		"event": func(t *testing.T, s *site) {
			open(s).send(pack(event(`["message",1,{"2":[true]}]`, 0))).want(pack(event(`["message-back",1,{"2":[true]}]`, 0)))
		},
		"binary ack": func(t *testing.T, s *site) {
			answer := event(`[{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]`, 9, "x", "yz")
			answer.Type = socketio.PacketAck
			open(s).send(pack(event(`["message-with-ack",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]`, 9, "x", "yz"))).want(pack(answer))
		},
		"unknown namespace": func(t *testing.T, s *site) {
			open(s).send(pack(socketio.Packet{Namespace: "/random"})).
				want(pack(socketio.Packet{Type: socketio.PacketConnectError, Namespace: "/random", Data: []byte(`{"message":"Invalid namespace"}`)}))
		},
		"text among it": func(t *testing.T, s *site) { open(s).send(`42["message"]`).want(closed) },
		"not msgpack":   func(t *testing.T, s *site) { s.dial(false).send("b:\x00\x01").want(closed) },
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { serve(t, echo(), timings, test) })
	}
}

// A format that is set is not guessed.
func TestFormatSet(t *testing.T) {
	serve(t, socketio.NewServer(socketio.Options{Format: socketio.FormatMsgpack}), engineio.Options{}, func(t *testing.T, s *site) {
		s.dial(false).send("40").want(closed)
	})
	serve(t, socketio.NewServer(socketio.Options{Format: socketio.FormatText}), engineio.Options{}, func(t *testing.T, s *site) {
		s.dial(false).send("b:\x82\xa4type\x00\xa3nsp\xa1/").want(closed)
	})
	serve(t, socketio.NewServer(socketio.Options{}), engineio.Options{}, func(t *testing.T, s *site) {
		s.dial(false).send("40").want("40*")
	})
}

// The default connectTimeout is the reference's.
func TestConnectTimeout(t *testing.T) {
	tests := map[string]string{"nothing": "", "only refusals": "40/unknown"}
	for name, frame := range tests {
		t.Run(name, func(t *testing.T) {
			serve(t, socketio.NewServer(socketio.Options{}), engineio.Options{}, func(t *testing.T, s *site) {
				c, start := s.dial(false), time.Now()
				if frame != "" {
					c.send(frame).want(`44/unknown,{"message":"Invalid namespace"}`)
				}
				c.want(closed)
				if d := time.Since(start); d != 45*time.Second {
					t.Errorf("closed after %s", d)
				}
			})
		})
	}
	serve(t, socketio.NewServer(socketio.Options{}), engineio.Options{}, func(t *testing.T, s *site) {
		c := s.dial(false).send("40")
		c.want("40*")
		c.wantQuiet(10 * time.Minute)
		c.send("41").wantQuiet(10 * time.Minute) // the namespace is left, the connection stays
	})
}
