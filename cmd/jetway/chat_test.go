package main

import (
	"os"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/config"
)

// The page of the chat is served in development, if it can work: its event has
// a subject, and the endpoint is where the page looks for it.
func TestChatPage(t *testing.T) {
	text, err := os.ReadFile("../../examples/socketio-chat/jetway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, file string
		served     bool
	}{
		{"the example", string(text), true},
		{"no mapping", "", false},
		{"another path", string(text) + "socketio: {path: /sio/}\n", false},
		{"no endpoint", string(text) + "socketio: {path: \"\"}\n", false},
		{"no development", string(text) + "auth: {anonymous: user}\nroles: {user: {pub: [\">\"]}}\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := config.Load(config.Source{File: "jetway.yaml", Text: []byte(tt.file)})
			if err != nil {
				t.Fatal(err)
			}
			o, err := gatewayOptions(c, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			page, served := o.Pages[chatPath]
			if served != tt.served || served && !strings.Contains(string(page), "socket.io.js") {
				t.Errorf("served: %t, %.100q", served, page)
			}
		})
	}
}
