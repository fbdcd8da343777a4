package chat_test

import (
	"os"
	"regexp"
	"testing"

	chat "github.com/jetway-io/jetway/examples/socketio-chat"
)

// TestPage: the page has what the tutorial's has, and loads the client from the
// server that it is from.
func TestPage(t *testing.T) {
	for what, re := range map[string]string{
		"the client":  `<script src="/socket.io/socket.io.js"></script>`,
		"emitting":    `socket\.emit\('` + chat.Event + `', input\.value, clientOffset\)`,
		"listening":   `socket\.on\('` + chat.Event + `', \(msg, serverOffset\) =>`,
		"its offset":  `serverOffset: 0`,
		"its retries": `retries: 3`,
	} {
		if !regexp.MustCompile(re).Match(chat.Page) {
			t.Errorf("%s is missing: %s", what, re)
		}
	}
	if found := regexp.MustCompile(`(?i)\b(src|href)="?(https?:)?//|\.innerHTML\b`).Find(chat.Page); found != nil {
		t.Errorf("%q", found)
	}
}

// TestConfiguration: the file maps the page's event.
func TestConfiguration(t *testing.T) {
	text, err := os.ReadFile("jetway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^ *- \{event: "` + chat.Event + `", subject: \S+, key: 1\}$`).Match(text) {
		t.Error("there is no mapping of the page's event")
	}
}
