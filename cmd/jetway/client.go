package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// defaultURL is where a gateway without configuration can be reached.
const defaultURL = "ws://127.0.0.1:8080/ws"

// urlFlag adds --url to a command that speaks to a gateway.
func (m *Main) urlFlag(cmd *cobra.Command) *string {
	def := defaultURL
	for _, v := range m.Env {
		if url, ok := strings.CutPrefix(v, "JETWAY_URL="); ok {
			def = cmp.Or(url, def)
		}
	}
	return cmd.Flags().String("url", def, "where the gateway is; JETWAY_URL sets the default, JETWAY_TOKEN a token")
}

// headFlag adds --head to a command that sends headers.
func headFlag(cmd *cobra.Command, head *map[string]string) {
	cmd.Flags().StringToStringVar(head, "head", nil, "headers, name=value")
}

// headers are those of --head, in the order of their names.
func headers(head map[string]string) []bridge.Field {
	var list []bridge.Field
	for _, name := range slices.Sorted(maps.Keys(head)) {
		list = append(list, bridge.Field{Name: name, Value: head[name]})
	}
	return list
}

// asPayload is what a person typed, or a program printed, as it is sent: JSON
// as it is, other text as a JSON string without the last line breaks, and what
// is no text as bytes.
func asPayload(data []byte) []byte {
	if trimmed := bytes.TrimSpace(data); json.Valid(trimmed) {
		return trimmed
	}
	if !utf8.Valid(data) {
		return data
	}
	text, err := json.Marshal(string(bytes.TrimRight(data, "\r\n")))
	if err != nil {
		panic(err) // a string always marshals
	}
	return text
}

// readArg is the data of a command: the argument, or standard input to its end
// for "-".
func (m *Main) readArg(arg string) ([]byte, error) {
	if arg != "-" {
		return []byte(arg), nil
	}
	data, err := io.ReadAll(m.Stdin)
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	return data, nil
}

// saysRetry tells people that a connection was lost.
func (m *Main) saysRetry(err error, after time.Duration) {
	fmt.Fprintf(m.Stderr, "%v; trying again in %s\n", err, after.Round(100*time.Millisecond))
}

// saysExpiring tells people that the connection is about to end.
func (m *Main) saysExpiring(expires time.Time, in time.Duration) {
	fmt.Fprintf(m.Stderr, "the token ends in %s, at %s, and the connection with it: start again with a new one in JETWAY_TOKEN\n", in, expires.Local().Format(time.TimeOnly))
}

// printable is a text of somebody else's in one line, without what would move
// the cursor of a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// withClient connects to the gateway that a command with [Main.urlFlag] names,
// for as long as f runs.
func (m *Main) withClient(cmd *cobra.Command, f func(context.Context, *client.Client) error) error {
	c, err := m.dial(cmd.Context(), cmd.Flag("url").Value.String())
	if err != nil {
		return err
	}
	defer c.Close()
	return f(cmd.Context(), c)
}

// dial connects to a gateway.
func (m *Main) dial(ctx context.Context, url string) (*client.Client, error) {
	return client.Dial(ctx, url, client.Options{Token: m.accessToken(), OnExpiring: m.saysExpiring})
}

// accessToken is who the client commands are, "" for nobody. It comes from the
// environment: a flag would show it to everyone who lists processes.
func (m *Main) accessToken() string {
	token := ""
	for _, v := range m.Env {
		if t, ok := strings.CutPrefix(v, "JETWAY_TOKEN="); ok {
			token = t
		}
	}
	return token
}
