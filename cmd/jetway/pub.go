package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// pubFlags are what pub is told.
type pubFlags struct {
	url    string
	key    string
	ttl    time.Duration
	ifPos  string
	delay  time.Duration
	at     string
	head   map[string]string
	raw    bool
	lines  bool
	asJSON bool
}

func newPubCmd(m *Main) *cobra.Command {
	var f pubFlags
	cmd := &cobra.Command{
		Use:   "pub SUBJECT [DATA|-]",
		Short: "Publish an event, and wait until it is stored",
		Long: `Publish an event, and wait until it is stored.

DATA that is JSON is sent as it is, other text as a JSON string; --raw sends
the bytes. "-", or nothing, reads standard input to its end; with --lines each
line is an event of its own, many of them in flight at a time.

An event on the subject of a queue is a job, and the answer says where to watch
it. --delay and --at keep it out of the queue for a time, or until a moment.`,
		Example: `  jetway pub events.chat.1 '{"text":"hello"}'
  jetway pub events.chat.1 hello --key 7f3a
  jetway pub events.files.1 - --raw < picture.png
  seq 1000 | jetway pub events.numbers --lines
  jetway pub jobs.resize '{"image":7}'
  jetway pub jobs.report '{"month":1}' --at 2030-02-01T06:00:00Z`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.url = cmd.Flag("url").Value.String()
			if f.lines && (f.key != "" || f.ifPos != "") {
				return usagef(cmd, "--key and --if are for one event, --lines for many")
			}
			if err := f.check(); err != nil {
				return usagef(cmd, "%w", err)
			}
			return m.pub(cmd.Context(), f, args)
		},
	}
	m.urlFlag(cmd)
	cmd.Flags().StringVar(&f.key, "key", "", "idempotency key: the same key again is not stored again")
	cmd.Flags().DurationVar(&f.ttl, "ttl", 0, "drop the event after this, in whole seconds")
	cmd.Flags().StringVar(&f.ifPos, "if", "", "store it only if this is the position of the subject's last event")
	cmd.Flags().DurationVar(&f.delay, "delay", 0, "keep the job out of its queue for this long")
	cmd.Flags().StringVar(&f.at, "at", "", "keep the job out of its queue until then, an RFC 3339 time")
	headFlag(cmd, &f.head)
	cmd.Flags().BoolVar(&f.raw, "raw", false, "send the bytes as they are, not as JSON")
	cmd.Flags().BoolVar(&f.lines, "lines", false, "an event for each line of standard input")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object for each event")
	return cmd
}

func (m *Main) pub(ctx context.Context, f pubFlags, args []string) error {
	c, err := m.dial(ctx, f.url)
	if err != nil {
		return err
	}
	defer c.Close()
	subject := args[0]
	if f.lines {
		return m.pubLines(ctx, c, f, subject)
	}
	arg := "-"
	if len(args) == 2 {
		arg = args[1]
	}
	data, err := m.readArg(arg)
	if err != nil {
		return err
	}
	ack, err := c.Publish(ctx, subject, f.payload(data), f.options())
	if err != nil {
		return err
	}
	return m.printAck(f, ack)
}

// options are those of every event.
func (f pubFlags) options() client.PubOptions {
	at, _ := time.Parse(time.RFC3339, f.at) // checked, or empty
	return client.PubOptions{Key: f.key, TTL: f.ttl, If: f.ifPos, Delay: f.delay, At: at, Head: headers(f.head)}
}

// check says what is wrong with --delay and --at.
func (f pubFlags) check() error {
	_, err := time.Parse(time.RFC3339, f.at)
	switch {
	case f.at != "" && f.delay != 0:
		return errors.New("--delay is a time from now on and --at a moment: give one of them")
	case f.at != "" && err != nil:
		return fmt.Errorf("--at %q is not a time: write it as 2030-02-01T06:00:00Z", f.at)
	case f.delay < 0:
		return fmt.Errorf("--delay %s is not over zero: write how long to wait, such as 10m", f.delay)
	}
	return nil
}

// payload is the data as it is sent.
func (f pubFlags) payload(data []byte) []byte {
	if f.raw {
		return data
	}
	return asPayload(data)
}

func (m *Main) printAck(f pubFlags, ack client.Ack) error {
	var err error
	switch {
	case f.asJSON:
		err = json.NewEncoder(m.Stdout).Encode(struct {
			OK    bool   `json:"ok"`
			Pos   string `json:"pos,omitempty"`
			Dup   bool   `json:"dup,omitempty"`
			Watch string `json:"watch,omitempty"`
		}{true, ack.Pos, ack.Dup, ack.Watch})
	case ack.Pos == "":
		_, err = fmt.Fprintln(m.Stdout, "sent; no stream stores this subject")
	case ack.Dup:
		_, err = fmt.Fprintf(m.Stdout, "%s (already stored under this key)\n", ack.Pos)
	case ack.Watch != "":
		_, err = fmt.Fprintf(m.Stdout, "%s (watch it on %s)\n", ack.Pos, ack.Watch)
	default:
		_, err = fmt.Fprintln(m.Stdout, ack.Pos)
	}
	return err
}

// pubLines publishes each line, with as many in flight as the client allows.
// Lines over the server's rate are published again when it says so, behind
// those that were in flight with them.
func (m *Main) pubLines(ctx context.Context, c *client.Client, f pubFlags, subject string) error {
	p := &linePublisher{main: m, client: c, flags: f, subject: subject}
	lines := bufio.NewScanner(m.Stdin)
	lines.Buffer(nil, c.MaxMessageBytes())
	for lines.Scan() && ctx.Err() == nil {
		if err := errors.Join(p.catchUp(ctx), p.publish(ctx, f.payload(bytes.Clone(lines.Bytes())))); err != nil {
			return p.result(err)
		}
	}
	for {
		p.inflight.Wait()
		if len(p.again) == 0 {
			return p.result(errors.Join(lines.Err(), ctx.Err()))
		}
		if err := p.catchUp(ctx); err != nil {
			return p.result(err)
		}
	}
}

// linePublisher publishes many events.
type linePublisher struct {
	main     *Main
	client   *client.Client
	flags    pubFlags
	subject  string
	inflight sync.WaitGroup

	mu     sync.Mutex
	again  [][]byte      // refused for now
	first  time.Duration // when the first of them would pass
	last   time.Duration // when all would
	failed []error
	stored int
}

// publish sends one event.
func (p *linePublisher) publish(ctx context.Context, data []byte) error {
	p.inflight.Add(1)
	err := p.client.PublishAsync(ctx, p.subject, data, p.flags.options(), func(ack client.Ack, err error) {
		defer p.inflight.Done()
		p.answered(data, ack, err)
	})
	if err != nil {
		p.inflight.Done()
	}
	return err
}

func (p *linePublisher) answered(data []byte, ack client.Ack, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var e *bridge.Error
	if errors.As(err, &e) && e.Code == bridge.CodeRateLimited {
		if len(p.again) == 0 {
			p.first, p.last = e.Retry, 0
		}
		p.again = append(p.again, data)
		p.first, p.last = min(p.first, e.Retry), max(p.last, e.Retry)
		return
	}
	if err == nil {
		p.stored++
		err = p.main.printAck(p.flags, ack)
	}
	if err != nil && len(p.failed) < 10 {
		p.failed = append(p.failed, err)
	}
}

// Those over the rate wait a little, so that a good number fits afterwards; not
// much longer than a second, as what is not used by then is lost.
const (
	ratePause = 250 * time.Millisecond
	rateBurst = time.Second
)

// catchUp publishes again what was refused.
func (p *linePublisher) catchUp(ctx context.Context) error {
	p.mu.Lock()
	waits := len(p.again) > 0
	p.mu.Unlock()
	if !waits {
		return nil
	}
	p.inflight.Wait()
	p.mu.Lock()
	again, retry := p.again, max(p.first, min(p.last, rateBurst), ratePause)
	p.again = nil
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(retry):
	}
	for _, data := range again {
		if err := p.publish(ctx, data); err != nil {
			return err
		}
	}
	return nil
}

// result is nil when all is stored.
func (p *linePublisher) result(err error) error {
	p.inflight.Wait()
	if err := errors.Join(append(p.failed, err)...); err != nil {
		return fmt.Errorf("%d events were stored, not all: %w", p.stored, err)
	}
	return nil
}
