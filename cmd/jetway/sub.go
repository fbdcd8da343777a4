package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// errEnough ends a subscription that has had its count.
var errEnough = errors.New("enough")

// subFlags are what sub is told.
type subFlags struct {
	url    string
	opts   client.SubOptions
	count  int
	asJSON bool
}

func newSubCmd(m *Main) *cobra.Command {
	var f subFlags
	cmd := &cobra.Command{
		Use:   "sub FILTER",
		Short: "Print events as they arrive, from any point of their history on",
		Long: `Print events as they arrive, from any point of their history on. When the
connection is lost it goes on where it was, as soon as it can. A long replay
shows its progress on standard error.

--from is a position, "new", "first", "last" (the last event of each subject),
"last:N", "-10m", or an RFC 3339 time. With --as the server keeps the position
under that name. With --until now it ends when it has caught up.`,
		Example: `  jetway sub 'events.>'
  jetway sub 'events.chat.*' --from last:10
  jetway sub 'events.>' --from first --until now --json > history.jsonl
  jetway sub 'events.orders.>' --as billing`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.url = cmd.Flag("url").Value.String()
			return m.sub(cmd.Context(), f, args[0])
		},
	}
	m.urlFlag(cmd)
	cmd.Flags().StringVar(&f.opts.From, "from", "", `where to start (default "new")`)
	cmd.Flags().StringVar(&f.opts.As, "as", "", "name of a durable subscription")
	cmd.Flags().IntVar(&f.opts.Max, "max", 0, "at most this many events that are not yet printed (0: as many as come)")
	cmd.Flags().StringVar(&f.opts.Until, "until", "", `"now" ends it when it has caught up`)
	cmd.Flags().IntVar(&f.count, "count", 0, "end after this many events (0: never)")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object for each event")
	return cmd
}

func (m *Main) sub(ctx context.Context, f subFlags, filter string) error {
	p := &printer{main: m, flags: f, progress: progress{w: m.Stderr}}
	retry := func(err error, after time.Duration) {
		p.progress.end()
		m.saysRetry(err, after)
	}
	err := client.Follow(ctx, f.url, client.Options{Token: m.accessToken(), OnRetry: retry, OnExpiring: m.saysExpiring}, filter, f.opts, p.print)
	p.progress.end()
	if errors.Is(err, errEnough) || ctx.Err() != nil {
		return nil
	}
	return err
}

// printer writes what a subscription brings.
type printer struct {
	main     *Main
	flags    subFlags
	printed  int
	progress progress
}

func (p *printer) print(msg client.Message) error {
	switch msg.Kind {
	case native.KindGap:
		p.progress.end()
		fmt.Fprintf(p.main.Stderr, "gap: the messages between %s and %s no longer exist\n", msg.After, msg.Next)
	case native.KindLive:
		p.progress.end()
	case native.KindEvent:
		if err := p.event(msg); err != nil {
			return err
		}
		p.printed++
		p.progress.event(p.printed, msg.Lag, time.Now())
		if p.printed == p.flags.count {
			return errEnough
		}
	}
	return nil
}

func (p *printer) event(msg client.Message) error {
	if !p.flags.asJSON {
		payload := msg.Data
		if payload == nil {
			payload = []byte(base64.StdEncoding.EncodeToString(msg.Binary))
		}
		_, err := fmt.Fprintf(p.main.Stdout, "%s %s\n", msg.Subject, payload)
		return err
	}
	line := struct {
		Msg  string            `json:"msg"`
		Pos  string            `json:"pos,omitempty"`
		Time time.Time         `json:"t"`
		Head map[string]string `json:"head,omitempty"`
		Data json.RawMessage   `json:"data,omitempty"`
		B64  []byte            `json:"b64,omitempty"`
	}{Msg: msg.Subject, Pos: msg.Pos, Time: msg.Time, Head: headMap(msg.Head), Data: msg.Data, B64: msg.Binary}
	return json.NewEncoder(p.main.Stdout).Encode(line)
}
