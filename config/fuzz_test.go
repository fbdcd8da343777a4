package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/config"
)

// FuzzLoad: no text makes Load panic or say more than one line per problem,
// and what it accepts is written and read again unchanged.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "JETWAY_STREAMS=[]")
	}
	f.Add([]byte("drain: 1s"), `JETWAY_ROLES={"a": {"pub": ["x"]}}`)
	f.Add([]byte("socketio: {recovery: off}"), `JETWAY_BRIDGE_MAP=[{"event": "a:{b}", "subject": "c.{b}", "key": 1}]`)
	f.Fuzz(func(t *testing.T, text []byte, env string) {
		if text == nil {
			text = []byte{}
		}
		c, err := config.ParseOnly(config.Source{File: "f", Text: text, Env: []string{env}})
		if err == nil {
			roundTrip(t, c)
			c.Warnings()
			return
		}
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			t.Fatalf("not joined: %v", err)
		}
		for _, p := range joined.Unwrap() {
			if strings.ContainsAny(p.Error(), "\n\r\x1b") {
				t.Errorf("more than one line: %q", p)
			}
		}
	})
}
