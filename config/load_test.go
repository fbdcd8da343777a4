package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/config"
)

func load(t *testing.T, src config.Source) *config.Config {
	t.Helper()
	c, err := config.ParseOnly(src)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.RegisterFlags(fs)
	fs.String("config", "", "a flag of the command's own")
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestDefaults(t *testing.T) {
	got := load(t, config.Source{}).WithoutOrigins()
	want := config.Config{
		Listen: "127.0.0.1:8080",
		Admin:  config.Admin{Listen: "127.0.0.1:8081"},
		NATS: config.NATS{Embedded: config.Embedded{
			StoreDir: "./jetway-data", Listen: "127.0.0.1:4222", MaxStore: 10 << 30,
		}},
		AllowedOrigins: []string{},
		TrustedProxies: []string{},
		Streams: []config.Stream{{
			Name: "EVENTS", Subjects: []string{"events.>"}, MaxAge: 168 * time.Hour, MaxBytes: 4 << 30, Dedupe: time.Hour, Replicas: 1,
		}},
		Queues: config.Queues{
			Subjects: []string{"jobs.*"}, Stream: "JOBS", Lease: 30 * time.Second, MaxTries: 5,
			Backoff: []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}, MaxJobs: 100000, Replicas: 1,
			Events: "JOB_EVENTS", EventsMaxAge: 168 * time.Hour, EventsMaxBytes: 1 << 30, DeadLetter: "DEAD", DeadMaxBytes: 1 << 30,
		},
		Auth: config.Auth{Anonymous: "dev"},
		Roles: map[string]config.Role{
			"dev": {Pub: []string{">"}, Sub: []string{">"}, Work: []string{">"}, Req: []string{">"}},
			"user": {Pub: []string{"events.chat.>", "jobs.*"}, Sub: []string{"events.chat.>", "events.users.{user}.>"},
				Work: []string{}, Req: []string{"svc.>"}},
		},
		SocketIO: config.SocketIO{Path: "/socket.io/", Recovery: config.RecoveryTrailing, Namespaces: []string{"/"}, SessionTTL: 24 * time.Hour,
			PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, ConnectTimeout: 45 * time.Second, UpgradeTimeout: 10 * time.Second,
			MaxHTTPBufferSize: 1_000_000, Parser: config.ParserAuto},
		Bridge: config.Bridge{Connect: config.Connect{Subscribe: []config.ConnectSubscription{}}, Map: []bridge.MapRule{}},
		Limits: config.Limits{MaxClients: 100000, MaxMessageBytes: 1 << 20, MaxSubscriptions: 100, PublishRate: 1000,
			PublishBytes: 16 << 20, UserPublishRate: 5000, UserPublishBytes: 64 << 20, RequestRate: 500, MaxInflight: 4096, PerUser: 1000,
			HandshakeRate: 5000, HandshakeRatePerAddress: 1000, HandshakeTimeout: 10 * time.Second, MessageTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
			PerAddress: 1000, AuthTimeout: 10 * time.Second, MaxDurables: 100},
		Log:                      config.Log{MaxMessages: 100000, MaxBytes: 64 << 20},
		DurableInactiveThreshold: 72 * time.Hour,
		Drain:                    10 * time.Second,
		Ping:                     config.Ping{Interval: 25 * time.Second, Timeout: 20 * time.Second},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLayers(t *testing.T) {
	src := config.Source{
		File: "jetway.yaml",
		Text: []byte("listen: 127.0.0.1:1\ndrain: 1s\nlimits: {max_clients: 1}\nallowed_origins: [https://a.example]\nstreams: []\n"),
	}
	c := load(t, src)
	if c.Listen != "127.0.0.1:1" || c.Drain != time.Second || len(c.Streams) != 0 {
		t.Errorf("the file: %+v", c)
	}
	src.Env = []string{"JETWAY_LISTEN=127.0.0.1:2", "JETWAY_LIMITS_MAX_CLIENTS=2", "JETWAY_ADMIN_LISTEN=", "HOME=/x",
		"JETWAY_ALLOWED_ORIGINS=https://b.example, https://c.example",
		`JETWAY_STREAMS=[{"name":"E","subjects":["e.>"]}]`, "JETWAY_ROLES={dev: {pub: [a]}}",
		"JETWAY_QUEUES_BACKOFF=2s, 1m", "JETWAY_QUEUES_SUBJECTS=[work.*, jobs.resize]",
		`JETWAY_BRIDGE_MAP=[{"event":"chat message","subject":"events.chat","key":0}]`, "JETWAY_SOCKETIO_NAMESPACES=/, /chat"}
	c = load(t, src)
	if c.Listen != "127.0.0.1:2" || c.Limits.MaxClients != 2 || c.Drain != time.Second || c.Admin.Listen != "" {
		t.Errorf("the environment over the file: %+v", c)
	}
	if !slices.Equal(c.AllowedOrigins, []string{"https://b.example", "https://c.example"}) || c.Streams[0].Name != "E" {
		t.Errorf("lists: %v, %v", c.AllowedOrigins, c.Streams)
	}
	if q := c.Queues; !slices.Equal(q.Backoff, []time.Duration{2 * time.Second, time.Minute}) || !slices.Equal(q.Subjects, []string{"work.*", "jobs.resize"}) {
		t.Errorf("queues: %+v", q)
	}
	if m := c.Bridge.Map; len(m) != 1 || m[0].Event != "chat message" || m[0].Key == nil || *m[0].Key != 0 || !slices.Equal(c.SocketIO.Namespaces, []string{"/", "/chat"}) {
		t.Errorf("mapping: %+v, namespaces: %q", m, c.SocketIO.Namespaces)
	}
	if r := c.Roles["dev"]; !slices.Equal(r.Pub, []string{"a"}) || len(r.Sub) != 0 {
		t.Errorf("a role is replaced as a whole, got %+v", r)
	}
	src.Flags = flags(t, "--listen=127.0.0.1:3", "--nats.embedded.store_dir", "/x", "--config", "y", "--allowed_origins=",
		"--bridge.map=[]", "--bridge.connect.subscribe=[events.news.>, {subject: 'e.{user}.>', from: first}]", "--socketio.recovery=off")
	c = load(t, src)
	if c.Listen != "127.0.0.1:3" || c.Limits.MaxClients != 2 || c.NATS.Embedded.StoreDir != "/x" || len(c.AllowedOrigins) != 0 {
		t.Errorf("flags over the environment: %+v", c)
	}
	want := []config.ConnectSubscription{{Subject: "events.news.>", From: "new"}, {Subject: "e.{user}.>", From: "first"}}
	if len(c.Bridge.Map) != 0 || !slices.Equal(c.Bridge.Connect.Subscribe, want) || c.SocketIO.Recovery != config.RecoveryOff {
		t.Errorf("flags over the environment: %+v, %+v", c.Bridge, c.SocketIO)
	}
}

func TestAnonymousDefault(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "dev", "[::1]:8080": "dev", "localhost:8080": "dev", "127.1.2.3:0": "dev",
		":8080": "", "0.0.0.0:8080": "", "[::]:8080": "", "10.0.0.1:8080": "", "jetway.example:8080": "", "localhost.example:8080": "",
	} {
		if got := load(t, config.Source{Env: []string{"JETWAY_LISTEN=" + listen}}).Auth.Anonymous; got != want {
			t.Errorf("listen %s: got %q, want %q", listen, got, want)
		}
	}
}

func TestProblemsOutsideTheFile(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		want string
	}{
		{name: "unknown variable", env: []string{"JETWAY_LISTNE=x"}, want: `JETWAY_LISTNE: sets no known key: did you mean JETWAY_LISTEN?`},
		{name: "level left out", env: []string{"JETWAY_STORE_DIR=x"}, want: `JETWAY_STORE_DIR: sets no known key: did you mean JETWAY_NATS_EMBEDDED_STORE_DIR?`},
		{name: "of a later release", env: []string{"JETWAY_NATS_EMBEDDED_CLUSTER_NAME=x"}, want: `JETWAY_NATS_EMBEDDED_CLUSTER_NAME: "nats.embedded.cluster" is not available in this release: unset it`},
		{name: "bad value", env: []string{"JETWAY_DRAIN=10"}, want: `JETWAY_DRAIN: drain: "10" is not a duration: write a number with ms, s, m, h or d, such as 30s or 7d`},
		{name: "bad flag", args: []string{"--drain=10"}, want: `--drain: "10" is not a duration: write a number with ms, s, m, h or d, such as 30s or 7d`},
		{name: "empty number", env: []string{"JETWAY_LOG_MAX_MESSAGES="}, want: `JETWAY_LOG_MAX_MESSAGES: log.max_messages: "" is not a whole number: write digits only, such as 1000`},
		{name: "streams as text", env: []string{"JETWAY_STREAMS=EVENTS"}, want: `JETWAY_STREAMS: streams: is a list: write - {name: EVENTS, subjects: [events.>]}`},
		{name: "backoff in units of nothing", env: []string{"JETWAY_QUEUES_BACKOFF=1,5"}, want: `JETWAY_QUEUES_BACKOFF: queues.backoff: "1, 5" is not a list of durations: write them with ms, s, m, h or d, such as [1s, 5s, 30s]`},
		{name: "broken text", env: []string{"JETWAY_ROLES={"}, want: `JETWAY_ROLES: roles: is not YAML or JSON text: write it on one line, as {dev: {`},
		{name: "mapping as text", args: []string{"--bridge.map=a"}, want: `--bridge.map: is a list: write - {event: "order:{id}", subject: "events.orders.{id}"}`},
		{name: "broken mapping", env: []string{"JETWAY_BRIDGE_MAP=[{"}, want: `JETWAY_BRIDGE_MAP: bridge.map: is not YAML or JSON text: write it on one line, as [{event: "order:{id}"`},
		{name: "inside of a mapping", env: []string{"JETWAY_BRIDGE_MAP=[{event: a, subject: b.>}]"}, want: `JETWAY_BRIDGE_MAP: bridge.map[0].subject: wildcards cannot be published to`},
		{name: "word", args: []string{"--socketio.parser=xml"}, want: `--socketio.parser: "xml" is not known: write auto, json or msgpack`},
		{name: "inside of text", args: []string{"--streams=[{name: a, subjects: [b.>], dedupe: x}]"}, want: `--streams: streams[0].dedupe: "x" is not a duration`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.ParseOnly(config.Source{Env: tt.env, Flags: flags(t, tt.args...)})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// Kubernetes sets these for a service named "jetway".
func TestServiceLinks(t *testing.T) {
	load(t, config.Source{Env: []string{
		"JETWAY_SERVICE_HOST=10.0.0.1", "JETWAY_SERVICE_PORT=8080", "JETWAY_SERVICE_PORT_HTTP=8080", "JETWAY_PORT=tcp://10.0.0.1:8080",
		"JETWAY_PORT_8080_TCP=tcp://10.0.0.1:8080", "JETWAY_PORT_8080_TCP_PROTO=tcp", "JETWAY_PORT_8080_TCP_PORT=8080",
		"JETWAY_PORT_8080_TCP_ADDR=10.0.0.1", "JETWAY_NATS_SERVICE_HOST=10.0.0.2", "JETWAY_NATS_PORT=tcp://10.0.0.2:4222",
	}})
}

func TestProblemsAreTyped(t *testing.T) {
	_, err := config.Load(config.Source{File: "jetway.yaml", Text: []byte("drain: x\nlisten: y\n")})
	var p *config.Problem
	if !errors.As(err, &p) || p.Line != 1 || p.Key != "drain" || p.Where != "jetway.yaml:1" {
		t.Errorf("got %+v", p)
	}
}

func TestNoSuchFile(t *testing.T) {
	_, err := config.Load(config.Source{File: "no-such.yaml"})
	if err == nil || !strings.HasPrefix(err.Error(), "no-such.yaml: cannot be read (no such file or directory)") {
		t.Errorf("got %v", err)
	}
}

// The check leaves nothing behind: a store directory that appears because of
// a check would hide that it was misspelt.
func TestStoreDirIsOnlyProbed(t *testing.T) {
	dir := t.TempDir()
	if _, err := config.Load(config.Source{Env: []string{"JETWAY_NATS_EMBEDDED_STORE_DIR=" + filepath.Join(dir, "a", "b")}}); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// An environment variable per key must not be that of another key, too.
func TestNamesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, k := range config.Keys() {
		if k.Env() == "" {
			continue
		}
		if other, ok := seen[k.Env()]; ok {
			t.Errorf("%s sets %s and %s", k.Env(), other, k.Path)
		}
		seen[k.Env()] = k.Path
		if fs := flags(t); fs.Lookup(k.Flag()) == nil {
			t.Errorf("no flag for %s", k.Path)
		}
	}
}

func TestFlagHint(t *testing.T) {
	var known []string
	flags(t).VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	for name, want := range map[string]string{
		"listn": ": did you mean --listen?", "store-dir": ": did you mean --nats.embedded.store_dir?",
		"nats.embedded.cluster.name": `: "nats.embedded.cluster" is not available in this release`, "socketio.pth": ": did you mean --socketio.path?", "queues.leas": ": did you mean --queues.lease?", "conifg": ": did you mean --config?", "zzzzzzzz": "",
	} {
		if got := config.FlagHint(name, known); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A variable that resembles no key belongs to a script around Jetway: it is
// named, so that a mistake is seen, and nothing breaks.
func TestStrayVariables(t *testing.T) {
	c, err := config.ParseOnly(config.Source{Env: []string{"JETWAY_BIN=/usr/bin/jetway", "JETWAY_PORT=8080", "JETWAY_URL=ws://x/ws", "JETWAY_TOKEN=hunter2",
		"JETWAY_SUBJECT=jobs.r", "JETWAY_TRY=1", "JETWAY_POS=x-1"}}) // the last three: of "jetway work"
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(c.Warnings(), "\n")
	for _, name := range []string{"JETWAY_BIN", "JETWAY_PORT"} {
		if !strings.Contains(got, name+": sets no key of Jetway's") {
			t.Errorf("no warning about %s: %s", name, got)
		}
	}
	if strings.Contains(got, "JETWAY_URL") || strings.Contains(got, "TOKEN") {
		t.Errorf("a warning about the client commands' variables: %s", got)
	}
}

// hardening.md H02: no name forges a line, whether of a variable or of a role.
func TestNamesAreOneLine(t *testing.T) {
	for _, env := range []string{"JETWAY_LISTN\nx=1", "JETWAY_ROLES={\"a\\nb\": {pub: [\"x y\"]}}"} {
		_, err := config.ParseOnly(config.Source{Env: []string{env}})
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			t.Errorf("%q: got %v", env, err)
			continue
		}
		for _, p := range joined.Unwrap() {
			if strings.ContainsAny(p.Error(), "\n\r\x1b") {
				t.Errorf("%q: more than one line: %q", env, p)
			}
		}
	}
	if got := strings.Join(load(t, config.Source{Env: []string{"JETWAY_ZZZZZZZZZZ\n\x1b[2J=1"}}).Warnings(), ""); got == "" || strings.ContainsAny(got, "\n\x1b") {
		t.Errorf("got %q", got)
	}
}
