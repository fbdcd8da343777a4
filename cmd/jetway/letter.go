package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// The dead letters of a queue are on its subject with this before it.
const deadPrefix = "dead."

// letter is a dead letter.
type letter struct {
	ID     string            `json:"id"`
	Queue  string            `json:"queue"`
	Job    string            `json:"job,omitempty"` // the sequence that it had in the queue's stream
	Stored string            `json:"stored"`        // when the job was, RFC 3339
	Died   time.Time         `json:"died"`
	Tries  int               `json:"tries"`
	Worker string            `json:"worker,omitempty"`
	Reason string            `json:"reason,omitempty"`
	Head   map[string]string `json:"head,omitempty"` // the job's own
	Data   json.RawMessage   `json:"data,omitempty"`
	B64    []byte            `json:"b64,omitempty"`
}

// letterOf reads an event of the dead letters; nil when it is none.
func letterOf(m client.Message) *letter {
	l := &letter{ID: m.Pos, Died: m.Time, Head: map[string]string{}, Data: m.Data, B64: m.Binary}
	for _, h := range m.Head {
		switch h.Name {
		case "Jetway-Queue":
			l.Queue = h.Value
		case "Jetway-Job":
			l.Job = h.Value
		case "Jetway-Time":
			l.Stored = h.Value
		case "Jetway-Tries":
			l.Tries, _ = strconv.Atoi(h.Value) // 0: not known
		case "Jetway-Worker":
			l.Worker = h.Value
		case "Jetway-Reason":
			l.Reason = h.Value
		default:
			l.Head[h.Name] = h.Value
		}
	}
	if l.Queue == "" {
		return nil
	}
	return l
}

// String is the letter in one line.
func (l *letter) String() string {
	return fmt.Sprintf("%s  %s  %s  tries %d  %s", l.ID, l.Died.Format(time.RFC3339), printable(l.Queue), l.Tries, printable(l.Reason))
}

// show writes all of it for people.
func (l *letter) show(w io.Writer) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-8s %s\n", name, printable(value))
		}
	}
	line("id", l.ID)
	line("queue", l.Queue)
	line("job", l.Job)
	line("stored", l.Stored)
	line("died", l.Died.Format(time.RFC3339Nano))
	line("tries", strconv.Itoa(l.Tries))
	line("worker", l.Worker)
	line("reason", l.Reason)
	for _, h := range headers(l.Head) {
		line("header", h.Name+": "+h.Value)
	}
	switch {
	case l.Data != nil:
		fmt.Fprintf(&b, "\n%s\n", l.Data)
	case len(l.B64) > 0:
		fmt.Fprintf(&b, "\n%d bytes, not JSON: --json has them in base64\n", len(l.B64))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// eachLetter calls f for the dead letters of a queue, or of all, that are there
// now.
func eachLetter(ctx context.Context, c *client.Client, queue []string, f func(*letter) error) error {
	filter := deadPrefix + ">"
	if len(queue) > 0 {
		filter = deadPrefix + queue[0]
	}
	return history(ctx, c, filter, "first", func(m client.Message) (bool, error) {
		if l := letterOf(m); l != nil {
			return true, f(l)
		}
		return true, nil // an event of somebody's, who likes the name too
	})
}

// findLetter returns the dead letter with an ID.
func findLetter(ctx context.Context, c *client.Client, id string) (found *letter, err error) {
	from := "first"
	if p, err := bridge.ParsePosition(id); err == nil && len(p) == 1 && p[0].Seq > 0 {
		p[0].Seq-- // read from just before it, not all of them
		from = p.String()
	}
	err = history(ctx, c, deadPrefix+">", from, func(m client.Message) (bool, error) {
		if m.Pos == id {
			found = letterOf(m)
		}
		return m.Pos != id && from == "first", nil
	})
	if err == nil && found == nil {
		err = &bridge.Error{Code: bridge.CodeNotFound, Msg: "there is no dead letter " + id, Hint: `"jetway dead ls" lists those that are there`}
	}
	return found, err
}

// history reads what there is now on a filter, until f says that it is enough.
func history(ctx context.Context, c *client.Client, filter, from string, f func(client.Message) (more bool, err error)) error {
	s, err := c.Subscribe(ctx, filter, client.SubOptions{From: from, Until: "now"})
	if err != nil {
		return err
	}
	for {
		m, err := s.Next(ctx)
		if err != nil {
			return err
		}
		switch m.Kind {
		case native.KindEvent:
			if more, err := f(m); err != nil || !more {
				return err
			}
		case native.KindEnd:
			if m.Why != "until" {
				return &bridge.Error{Code: bridge.CodeUnavailable, Msg: "the list is not complete: " + m.Why, Hint: "try again"}
			}
			return nil
		}
	}
}
