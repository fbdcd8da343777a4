package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/config"
	"github.com/jetway-io/jetway/examples/browser"
	"github.com/jetway-io/jetway/examples/jobs"
	chat "github.com/jetway-io/jetway/examples/socketio-chat"
	"github.com/jetway-io/jetway/gateway"
	"github.com/jetway-io/jetway/gateway/auth"
	"github.com/jetway-io/jetway/gateway/sio"
	"github.com/jetway-io/jetway/gateway/socketio"
	"github.com/jetway-io/jetway/jetstream"
)

// startTimeout bounds opening the store and reading the newest events into
// memory. A large store that was not closed cleanly takes a while.
const startTimeout = 5 * time.Minute

func newServeCmd(m *Main) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve clients (the default command)",
		Long: `Serve clients until SIGINT or SIGTERM, then drain: clients are told to come
back, what they published is answered, and the store is closed. A second signal
ends the process at once, which loses nothing that was acknowledged. SIGHUP
reads the configuration again, and takes its roles, keys, limits and origins.

Without any configuration it serves this machine alone, with a NATS server of
its own and its data in ./jetway-data.`,
		Example: `  jetway
  jetway serve --config /etc/jetway/jetway.yaml
  jetway serve --listen 127.0.0.1:9000 --nats.embedded.store_dir /var/lib/jetway
  jetway serve --nats.url nats://nats-1:4222,nats://nats-2:4222`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := m.loadConfig(cmd)
			if err != nil {
				return err
			}
			return m.serve(cmd.Context(), c, func() (*config.Config, error) { return m.loadConfig(cmd) })
		},
	}
	configFlags(cmd)
	return cmd
}

// serve runs until ctx ends, and then drains.
// read is how the configuration is read again.
func (m *Main) serve(ctx context.Context, c *config.Config, read func() (*config.Config, error)) error {
	logger := slog.New(slog.NewTextHandler(m.Stderr, nil))
	for _, w := range c.Warnings() {
		logger.Warn(w)
	}
	if err := fitDisk(c, logger); err != nil {
		return err
	}
	s := &service{config: c, taken: c, logger: logger}
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			err = nil // asked to stop while starting: not a failure
		}
		return errors.Join(err, s.stop())
	}
	s.announce(m)
	var hangup <-chan os.Signal
	if m.Hangup != nil {
		hangup = m.Hangup()
	}
	for ctx.Err() == nil {
		select {
		case <-hangup:
			s.reload(read)
		case <-ctx.Done():
		}
	}
	logger.Info("draining", "at most", c.Drain)
	return s.stop()
}

// service is everything that runs, in the order in which it starts.
type service struct {
	config *config.Config // as it was started
	taken  *config.Config // as it was reloaded last
	logger *slog.Logger
	broker *jetstream.Broker
	bridge *bridge.Bridge
	server *gateway.Server
	chat   bool    // the page of the chat is served
	access *access // who may do what; nil until it is made
}

func (s *service) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if s.broker, err = jetstream.Open(ctx, brokerOptions(s.config, s.logger)); err != nil {
		return err
	}
	s.bridge = bridge.New(s.broker, bridge.Options{
		Logger:       s.logger,
		RingMessages: s.config.Log.MaxMessages,
		RingBytes:    int(s.config.Log.MaxBytes),
		SessionTTL:   s.config.SocketIO.SessionTTL,
		Queues: bridge.QueueOptions{
			Lease:       s.config.Queues.Lease,
			MaxTries:    s.config.Queues.MaxTries,
			Backoff:     s.config.Queues.Backoff,
			ResumeGrace: s.config.Queues.ResumeGrace,
		},
	})
	if s.access, err = newAccess(s.config, s.bridge, s.logger); err != nil {
		return err
	}
	o, err := gatewayOptions(s.config, s.bridge, s.logger)
	if err != nil {
		return err
	}
	o.Auth = s.access.policy
	if o.SocketIO.Path != "" {
		o.SocketIO.Gateways = s.gateways()
	}
	s.chat = o.Pages[chatPath] != nil
	if s.server, err = gateway.New(o); err != nil {
		return err
	}
	if err := s.server.Start(ctx); err != nil {
		return err
	}
	return s.bridge.Start(ctx)
}

// stop ends what start began, last first.
func (s *service) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Drain)
	defer cancel()
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.Stop(ctx))
	}
	if s.access != nil {
		s.access.close()
	}
	if s.bridge != nil {
		errs = append(errs, s.bridge.Stop(ctx))
	}
	if s.broker != nil {
		errs = append(errs, s.broker.Close(ctx))
	}
	return errors.Join(errs...)
}

func brokerOptions(c *config.Config, logger *slog.Logger) jetstream.Options {
	o := jetstream.Options{
		Logger:      logger,
		URL:         c.NATS.URL,
		Credentials: c.NATS.Credentials,
		Embedded: jetstream.EmbeddedOptions{
			StoreDir:     c.NATS.Embedded.StoreDir,
			SyncAlways:   c.NATS.Embedded.Sync == 0,
			SyncInterval: c.NATS.Embedded.Sync,
			Listen:       c.NATS.Embedded.Listen,
			MaxStore:     c.NATS.Embedded.MaxStore,
			// A message becomes a little larger on its way: headers, and base64
			// the other way around does not.
			MaxPayload: int(c.Limits.MaxMessageBytes) + 64<<10,
		},
		Sessions: jetstream.SessionOptions{
			Keep:     c.SocketIO.On() && c.SocketIO.Recovery != config.RecoveryOff,
			TTL:      c.SocketIO.SessionTTL,
			Replicas: c.Queues.Replicas,
		},
		DurableInactive: c.DurableInactiveThreshold,
		UserDurables:    c.Limits.MaxDurables,
	}
	for _, s := range c.Streams {
		o.Streams = append(o.Streams, jetstream.StreamConfig{
			Name: s.Name, Subjects: s.Subjects, MaxAge: s.MaxAge, MaxBytes: s.MaxBytes, Dedupe: s.Dedupe, Replicas: s.Replicas,
		})
	}
	if q := c.Queues; q.On() {
		o.Queues = jetstream.QueueOptions{Stream: q.Stream, Subjects: q.Subjects, Lease: q.Lease, MaxJobs: int64(q.MaxJobs), Replicas: q.Replicas}
		o.Streams = append(o.Streams,
			jetstream.StreamConfig{Name: q.Events, Subjects: q.EventSubjects(), MaxAge: q.EventsMaxAge, MaxBytes: q.EventsMaxBytes, Dedupe: onceWithin(q.EventsMaxAge), Replicas: q.Replicas},
			// A dead letter that would push out another one stays in its queue.
			jetstream.StreamConfig{Name: q.DeadLetter, Subjects: q.DeadSubjects(), MaxBytes: q.DeadMaxBytes, Dedupe: onceWithin(0), Replicas: q.Replicas, DiscardNew: true})
	}
	return o
}

// onceWithin is how long it is remembered what of a job is told or buried
// already, in a stream that keeps messages for so long (0: without end).
func onceWithin(maxAge time.Duration) time.Duration {
	const window = time.Hour
	if maxAge > 0 {
		return min(window, maxAge)
	}
	return window
}

// gateways is how this gateway reaches others; nil when it is alone.
func (s *service) gateways() bridge.Gateways {
	if s.config.NATS.URL == "" {
		return nil
	}
	var b bridge.Broker = s.broker
	g, _ := b.(bridge.Gateways)
	return g
}

func gatewayOptions(c *config.Config, b *bridge.Bridge, logger *slog.Logger) (gateway.Options, error) {
	o := gateway.Options{
		Bridge:           b,
		Logger:           logger,
		Listen:           c.Listen,
		AdminListen:      c.Admin.Listen,
		TLSCert:          c.TLS.Cert,
		TLSKey:           c.TLS.Key,
		AllowedOrigins:   c.AllowedOrigins,
		TrustedProxies:   c.Proxies(),
		MaxClients:       c.Limits.MaxClients,
		MaxPerAddress:    c.Limits.PerAddress,
		MaxMessageBytes:  int(c.Limits.MaxMessageBytes),
		MaxSubscriptions: c.Limits.MaxSubscriptions,
		PublishRate:      c.Limits.PublishRate,
		PublishBytes:     float64(c.Limits.PublishBytes),
		UserPublishRate:  c.Limits.UserPublishRate,
		UserPublishBytes: float64(c.Limits.UserPublishBytes),
		RequestRate:      c.Limits.RequestRate,
		MaxInflight:      c.Limits.MaxInflight,
		MaxPerUser:       c.Limits.PerUser,
		HandshakeRate:    c.Limits.HandshakeRate,
		HandshakeTimeout: c.Limits.HandshakeTimeout,
		MessageTimeout:   c.Limits.MessageTimeout,
		MaxHeaderBytes:   int(c.Limits.MaxHeaderBytes),
		PingInterval:     c.Ping.Interval,
		PingTimeout:      c.Ping.Timeout,
		TokenSources:     auth.Sources{Cookie: c.Auth.Cookie, Query: c.Auth.Query},
		AuthTimeout:      c.Limits.AuthTimeout,

		HandshakeRatePerAddress: c.Limits.HandshakeRatePerAddress,
	}
	if c.Auth.Anonymous == devRole {
		o.Pages = pages
	}
	var err error
	o.SocketIO, err = socketIO(c)
	if o.Pages != nil && servesChat(o.SocketIO) {
		o.Pages = maps.Clone(o.Pages)
		o.Pages[chatPath] = chat.Page
	}
	return o, err
}

// chatPath is where the page of the chat is, if it can work.
const chatPath = "/chat"

// servesChat reports whether the page of the chat finds what it connects to: it
// has the usual path, and a subject for its event.
func servesChat(o gateway.SocketIO) bool {
	if o.Path != "/socket.io/" {
		return false
	}
	_, _, err := o.Mapping.Subject(chat.Event, auth.Anonymous)
	return err == nil
}

// socketIO is the endpoint for stock Socket.IO clients; without a path it is
// none.
func socketIO(c *config.Config) (gateway.SocketIO, error) {
	from := c.SocketIO
	if !from.On() {
		return gateway.SocketIO{}, nil
	}
	mapping, err := bridge.NewMapping(c.Bridge.Map)
	if err != nil {
		return gateway.SocketIO{}, fmt.Errorf("bridge.map: %w", err)
	}
	o := gateway.SocketIO{
		Path:              from.Path,
		Recovery:          sio.Recovery(from.Recovery),
		Namespaces:        from.Namespaces,
		Format:            map[string]socketio.Format{config.ParserJSON: socketio.FormatText, config.ParserMsgpack: socketio.FormatMsgpack}[from.Parser],
		Mapping:           mapping,
		PingInterval:      from.PingInterval,
		PingTimeout:       from.PingTimeout,
		ConnectTimeout:    from.ConnectTimeout,
		UpgradeTimeout:    from.UpgradeTimeout,
		MaxHTTPBufferSize: int(from.MaxHTTPBufferSize),
		Cookie:            from.Cookie,
	}
	for _, s := range c.Bridge.Connect.Subscribe {
		o.Subscribe = append(o.Subscribe, sio.Subscription{Filter: s.Subject, From: s.From})
	}
	return o, nil
}

// devRole is the role that makes this development mode.
const devRole = "dev"

// pages are the examples that development mode serves.
var pages = map[string][]byte{
	"/":               browser.Page,
	"/jobs":           jobs.Page,
	"/jobs/worker":    jobs.Worker,
	"/jobs/worker.js": jobs.WorkerScript,
}

// announce says where to connect, where the data is, and what is open to whom.
func (s *service) announce(m *Main) {
	c := s.config
	http, ws := "http", "ws"
	if c.TLS.Cert != "" {
		http, ws = "https", "wss"
	}
	line := func(what, format string, args ...any) {
		fmt.Fprintf(m.Stdout, "%-9s %s\n", what, fmt.Sprintf(format, args...))
	}
	address := s.server.Addr()
	fmt.Fprintln(m.Stdout, "Jetway is ready.")
	if c.Auth.Anonymous == devRole {
		line("page", "%s://%s/", http, address)
		if c.Queues.On() {
			line("jobs", "%[1]s://%[2]s/jobs, with a worker at %[1]s://%[2]s/jobs/worker", http, address)
		}
		if s.chat {
			line("chat", "%s://%s%s", http, address, chatPath)
		}
	}
	line("clients", "%s://%s/ws", ws, address)
	if path := c.SocketIO.Path; path != "" {
		line("socket.io", "%s://%s%s", http, address, path)
	}
	if admin := s.server.AdminAddr(); admin != nil {
		line("metrics", "http://%s/metrics", admin)
	}
	if c.NATS.URL != "" {
		line("nats", "%s", config.MaskURL(c.NATS.URL))
	} else {
		if url := s.broker.ClientURL(); url != "" {
			line("nats", "%s", url)
		}
		line("data", "%s (sync: %s, at most %s)", c.NATS.Embedded.StoreDir, syncText(c.NATS.Embedded.Sync), config.FormatSize(c.NATS.Embedded.MaxStore))
	}
	for _, stream := range c.Streams {
		line("stream", "%s stores %s", stream.Name, strings.Join(stream.Subjects, ", "))
	}
	if c.Queues.On() {
		line("queues", "%s, at most %d tries of %v, then %s", list(c.Queues.Subjects), c.Queues.MaxTries, c.Queues.Lease, c.Queues.DeadLetter)
	}
	if role, ok := c.Roles[c.Auth.Anonymous]; ok {
		line("open to", "everyone who reaches %s, as %q: may publish to %s, subscribe to %s, work on %s and ask %s", address, c.Auth.Anonymous,
			list(role.Pub), list(role.Sub), list(role.Work), list(role.Req))
	}
	switch {
	case c.Auth.Takes():
		line("tokens", "of %s", tokensOf(c))
	case c.Auth.Anonymous == "":
		line("open to", "nobody: auth.anonymous is empty, and no tokens are taken (auth.jwt, auth.callout)")
	}
}

func syncText(d time.Duration) string {
	if d == 0 {
		return "always"
	}
	return "every " + d.String()
}

func list(filters []string) string {
	if len(filters) == 0 {
		return "nothing"
	}
	return strings.Join(filters, ", ")
}
