package config

import (
	"strings"

	"github.com/jetway-io/jetway/bridge"
)

// Kind is the form of a key's value.
type Kind string

// The kinds of values.
const (
	Text      Kind = "text"
	Address   Kind = "host:port"
	List      Kind = "list"
	Size      Kind = "size"     // bytes, with an optional unit: 4GiB, 512MB, 1048576
	Duration  Kind = "duration" // 500ms, 30s, 2h, 7d
	Durations Kind = "list of durations"
	Sync      Kind = "always, or duration"
	Count     Kind = "number"
	Rate      Kind = "rate"            // 1000/s, 60/m
	ByteRate  Kind = "size per second" // 16MiB/s
	Streams   Kind = "list of streams"
	Roles     Kind = "roles by name"
	Choice    Kind = "word" // one of a few, which the key's Doc names
	// Subscriptions are what clients are subscribed to on connect.
	Subscriptions Kind = "list of subscriptions"
	Mappings      Kind = "list of mappings"
	Denials       Kind = "lists by name"
	Depth         Kind = "duration, or N events"
)

// Key is one entry of the configuration.
type Key struct {
	Path    string // as in the file, levels separated by dots
	Kind    Kind
	Default string // as it is written in a file
	Doc     string // one sentence, lower case

	field    func(*Config) any // pointer to the field; nil inside streams, roles and mappings
	min, max int64             // bounds of Count and Size
	choices  []string          // of Choice
	secret   bool              // not to be printed
}

// nodes reports whether the value is made of mappings: one that a later layer
// gives as YAML or JSON text.
func (k Key) nodes() bool {
	switch k.Kind {
	case Streams, Roles, Subscriptions, Mappings:
		return true
	}
	return false
}

// Env is the name of the variable that sets the key, "" for the keys inside
// of streams, roles, subscriptions and mappings: those are set as a whole.
func (k Key) Env() string {
	if k.field == nil {
		return ""
	}
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_"))
}

// Flag is the name of the flag that sets the key, without dashes; "" as for
// [Key.Env].
func (k Key) Flag() string {
	if k.field == nil {
		return ""
	}
	return k.Path
}

// Keys returns all keys, in the order of the file.
func Keys() []Key { return append([]Key(nil), keys...) }

const (
	million      = 1_000_000
	kib, mib     = 1 << 10, 1 << 20
	gib, tib     = 1 << 30, 1 << 40
	maxFrame     = 32 * mib // NATS itself refuses payloads over 64 MiB
	maxStoreSize = 1024 * tib
)

// The order is that of the file. Bounds are there to catch a wrong unit, and
// where the broker refuses more.
var keys = []Key{
	{Path: "listen", Kind: Address, Default: "127.0.0.1:8080", field: func(c *Config) any { return &c.Listen },
		Doc: "where clients connect"},
	{Path: "admin.listen", Kind: Address, Default: "127.0.0.1:8081", field: func(c *Config) any { return &c.Admin.Listen },
		Doc: `metrics, console and admin API, without authentication: loopback or a private address; "" turns it off`},
	{Path: "tls.cert", Kind: Text, field: func(c *Config) any { return &c.TLS.Cert },
		Doc: "PEM file with the certificate chain for listen; empty: no TLS"},
	{Path: "tls.key", Kind: Text, field: func(c *Config) any { return &c.TLS.Key },
		Doc: "PEM file with the key of the certificate"},
	{Path: "allowed_origins", Kind: List, Default: "[]", field: func(c *Config) any { return &c.AllowedOrigins },
		Doc: `origins of web pages that may connect, such as https://app.example.com, matched exactly; empty: same origin only; "*": any`},
	{Path: "trusted_proxies", Kind: List, Default: "[]", field: func(c *Config) any { return &c.TrustedProxies },
		Doc: "addresses of proxies and load balancers, or networks such as 10.0.0.0/8, whose X-Forwarded-For says where a client is; that of others is ignored, and Forwarded always"},
	{Path: "nats.url", Kind: Text, field: func(c *Config) any { return &c.NATS.URL },
		Doc: "the NATS servers to use, separated by commas; empty: the embedded server"},
	{Path: "nats.credentials", Kind: Text, field: func(c *Config) any { return &c.NATS.Credentials },
		Doc: "credentials file (.creds) for nats.url"},
	{Path: "nats.embedded.store_dir", Kind: Text, Default: "./jetway-data", field: func(c *Config) any { return &c.NATS.Embedded.StoreDir },
		Doc: "directory of the streams; relative to the working directory; made if missing"},
	{Path: "nats.embedded.sync", Kind: Sync, Default: "always", field: func(c *Config) any { return &c.NATS.Embedded.Sync },
		Doc: "always: an event is on disk before it is confirmed; an interval: what a power cut may lose"},
	{Path: "nats.embedded.listen", Kind: Address, Default: "127.0.0.1:4222", field: func(c *Config) any { return &c.NATS.Embedded.Listen },
		Doc: `where microservices and the nats CLI join, without authentication; "": in-process only`},
	{Path: "nats.embedded.max_store", Kind: Size, Default: "10GiB", min: mib, max: maxStoreSize, field: func(c *Config) any { return &c.NATS.Embedded.MaxStore },
		Doc: "what all streams together may take on disk"},
	{Path: "streams", Kind: Streams, Default: defaultStreams, field: func(c *Config) any { return &c.Streams },
		Doc: "the streams that keep events; replaces the default list"},
	{Path: "streams[].name", Kind: Text,
		Doc: "name of the stream as NATS knows it: 1 to 64 of A-Z a-z 0-9 _ -; required"},
	{Path: "streams[].subjects", Kind: List,
		Doc: "subject filters that it stores; required; no two streams may overlap"},
	{Path: "streams[].max_age", Kind: Duration, Default: "168h",
		Doc: "events older than this are removed; 0: no limit"},
	{Path: "streams[].max_bytes", Kind: Size, Default: "4GiB", max: maxStoreSize,
		Doc: "the oldest events are removed beyond this; reserved in max_store; 0: no limit"},
	{Path: "streams[].dedupe", Kind: Duration, Default: "1h",
		Doc: "how long a publish with the same key is known as a duplicate; at most max_age, which is the default where it is shorter"},
	{Path: "streams[].replicas", Kind: Count, Default: "1", min: 1, max: 5,
		Doc: "copies in a NATS cluster; the embedded server has 1"},
	{Path: "queues.subjects", Kind: List, Default: "[jobs.*]", field: func(c *Config) any { return &c.Queues.Subjects },
		Doc: "subjects whose events are jobs, each for one worker; a * at the end is one queue per token; empty: no queues"},
	{Path: "queues.stream", Kind: Text, Default: "JOBS", field: func(c *Config) any { return &c.Queues.Stream },
		Doc: "name of the stream that holds the jobs until they are settled"},
	{Path: "queues.lease", Kind: Duration, Default: "30s", field: func(c *Config) any { return &c.Queues.Lease },
		Doc: "how long a worker has a job before it must be settled or extended; then it goes to another"},
	{Path: "queues.max_tries", Kind: Count, Default: "5", min: 1, max: 1000, field: func(c *Config) any { return &c.Queues.MaxTries },
		Doc: "a job that failed this often goes to the dead letters"},
	{Path: "queues.backoff", Kind: Durations, Default: "[1s, 5s, 30s]", field: func(c *Config) any { return &c.Queues.Backoff },
		Doc: "pauses after the first failed try, the second, and so on; the last one repeats"},
	{Path: "queues.max_jobs", Kind: Count, Default: "100000", min: 1, max: 100 * million, field: func(c *Config) any { return &c.Queues.MaxJobs },
		Doc: "jobs in one queue; further ones are refused with queue_full"},
	{Path: "queues.replicas", Kind: Count, Default: "1", min: 1, max: 5, field: func(c *Config) any { return &c.Queues.Replicas },
		Doc: "copies in a NATS cluster, of jobs, their events and dead letters; the embedded server has 1"},
	{Path: "queues.resume_grace", Kind: Duration, Default: "0s", field: func(c *Config) any { return &c.Queues.ResumeGrace },
		Doc: "how long the jobs of a worker whose connection was lost wait for it before they return to their queue; 0: not at all"},
	{Path: "queues.events", Kind: Text, Default: "JOB_EVENTS", field: func(c *Config) any { return &c.Queues.Events },
		Doc: "name of the stream with progress, results and failures of jobs, on jobs.events.> for jobs.*"},
	{Path: "queues.events_max_age", Kind: Duration, Default: "168h", field: func(c *Config) any { return &c.Queues.EventsMaxAge },
		Doc: "job events older than this are removed; 0: no limit"},
	{Path: "queues.events_max_bytes", Kind: Size, Default: "1GiB", max: maxStoreSize, field: func(c *Config) any { return &c.Queues.EventsMaxBytes },
		Doc: "the oldest job events are removed beyond this; reserved in max_store, of which the default takes at most a quarter of what the streams leave; 0: no limit"},
	{Path: "queues.dead_letter", Kind: Text, Default: "DEAD", field: func(c *Config) any { return &c.Queues.DeadLetter },
		Doc: "name of the stream of dead letters, on dead.jobs.* for jobs.*; kept until they are requeued or dropped"},
	{Path: "queues.dead_max_bytes", Kind: Size, Default: "1GiB", max: maxStoreSize, field: func(c *Config) any { return &c.Queues.DeadMaxBytes },
		Doc: "when the dead letters take this much, further jobs stay in their queue, nothing is dropped; reserved in max_store like events_max_bytes; 0: no limit"},
	{Path: "auth.jwt.secret", Kind: Text, secret: true, field: func(c *Config) any { return &c.Auth.JWT.Secret },
		Doc: "secret that tokens are signed with (HS256), at least 32 random bytes; better in a variable than in a file or a flag; empty: none"},
	{Path: "auth.jwt.public_key_file", Kind: Text, field: func(c *Config) any { return &c.Auth.JWT.PublicKeyFile },
		Doc: "PEM file with the public keys of whoever signs tokens: RSA, ECDSA or Ed25519; empty: none"},
	{Path: "auth.jwt.jwks_url", Kind: Text, field: func(c *Config) any { return &c.Auth.JWT.JWKSURL },
		Doc: "URL of the key set of the issuer of tokens, such as https://issuer.example/.well-known/jwks.json; empty: none"},
	{Path: "auth.jwt.issuer", Kind: Text, field: func(c *Config) any { return &c.Auth.JWT.Issuer },
		Doc: `what the claim "iss" must be; empty: anything`},
	{Path: "auth.jwt.audience", Kind: Text, field: func(c *Config) any { return &c.Auth.JWT.Audience },
		Doc: `what the claim "aud" must be or have in its list; empty: anything`},
	{Path: "auth.callout", Kind: Text, field: func(c *Config) any { return &c.Auth.Callout },
		Doc: "NATS subject of a service that decides about clients with a token, such as jetway.auth; no role may reach it; empty: none"},
	{Path: "auth.cookie", Kind: Text, field: func(c *Config) any { return &c.Auth.Cookie },
		Doc: "name of the cookie that may carry the token; taken only from pages of the server's own origin or of allowed_origins; empty: none"},
	{Path: "auth.query", Kind: Text, field: func(c *Config) any { return &c.Auth.Query },
		Doc: "name of the parameter of the URL that may carry the token; dangerous: proxies and browsers write URLs into logs and histories; empty: none"},
	{Path: "auth.anonymous", Kind: Text, Default: anonymousDefault, field: func(c *Config) any { return &c.Auth.Anonymous },
		Doc: `role of clients without a token; "" refuses them; the default is dev while listen is a loopback address and no tokens are configured, "" otherwise`},
	{Path: "roles", Kind: Roles, Default: defaultRoles, field: func(c *Config) any { return &c.Roles },
		Doc: "what clients may do, by name of role; a role given here replaces the default one of that name as a whole"},
	{Path: "roles.<name>.pub", Kind: List, Default: "[]",
		Doc: "subject filters that may be published to; the token {user} stands for the user"},
	{Path: "roles.<name>.sub", Kind: List, Default: "[]",
		Doc: "subject filters that may be subscribed to"},
	{Path: "roles.<name>.work", Kind: List, Default: "[]",
		Doc: "subject filters of queues that may be worked on"},
	{Path: "roles.<name>.req", Kind: List, Default: "[]",
		Doc: "subject filters that requests may be sent to"},
	{Path: "roles.<name>.deny", Kind: Denials, Default: "{}",
		Doc: "what the role's holders may not do, even if another role allows it: {pub, sub, work, req}, lists of subject filters; a subscription that could bring a denied event is refused as a whole"},
	{Path: "roles.<name>.history", Kind: Depth, Default: "unlimited",
		Doc: "how far back its holders may read: a duration, such as 24h, a number, such as 1000 events, of each stream, or unlimited; 0: nothing stored before; of several roles the deepest"},
	{Path: "socketio.path", Kind: Text, Default: "/socket.io/", field: func(c *Config) any { return &c.SocketIO.Path },
		Doc: `where Socket.IO clients connect; begins and ends with a slash; "" turns Socket.IO off`},
	{Path: "socketio.recovery", Kind: Choice, Default: RecoveryTrailing, choices: []string{RecoveryTrailing, RecoveryEvent, RecoveryOff}, field: func(c *Config) any { return &c.SocketIO.Recovery },
		Doc: "how a client learns its position: trailing: the last argument of each event, as Socket.IO's own recovery does; event: a jetway:cursor event, arguments stay as they are; off: not at all, and nothing is recovered"},
	{Path: "socketio.namespaces", Kind: List, Default: "[/]", field: func(c *Config) any { return &c.SocketIO.Namespaces },
		Doc: "the namespaces there are; each begins with a slash; clients of others are refused"},
	{Path: "socketio.session_ttl", Kind: Duration, Default: "24h", field: func(c *Config) any { return &c.SocketIO.SessionTTL },
		Doc: "how long after a disconnect a client can recover its session"},
	{Path: "socketio.ping_interval", Kind: Duration, Default: "25s", field: func(c *Config) any { return &c.SocketIO.PingInterval },
		Doc: "how often a Socket.IO client is asked whether it is there; told to the client"},
	{Path: "socketio.ping_timeout", Kind: Duration, Default: "20s", field: func(c *Config) any { return &c.SocketIO.PingTimeout },
		Doc: "how long its answer may take; told to the client, which gives up after both without a ping"},
	{Path: "socketio.connect_timeout", Kind: Duration, Default: "45s", field: func(c *Config) any { return &c.SocketIO.ConnectTimeout },
		Doc: "a connection that has joined no namespace by then is closed"},
	{Path: "socketio.upgrade_timeout", Kind: Duration, Default: "10s", field: func(c *Config) any { return &c.SocketIO.UpgradeTimeout },
		Doc: "how long the change from polling to WebSocket may take"},
	{Path: "socketio.max_http_buffer_size", Kind: Size, Default: "1MB", min: kib, max: maxFrame, field: func(c *Config) any { return &c.SocketIO.MaxHTTPBufferSize },
		Doc: "one message or one POST of a Socket.IO client; a larger message closes its connection, a larger POST is refused"},
	{Path: "socketio.parser", Kind: Choice, Default: ParserAuto, choices: []string{ParserAuto, ParserJSON, ParserMsgpack}, field: func(c *Config) any { return &c.SocketIO.Parser },
		Doc: "how packets are written: json, msgpack (socket.io-msgpack-parser), or auto: as the client's first one is"},
	{Path: "socketio.cookie", Kind: Text, field: func(c *Config) any { return &c.SocketIO.Cookie },
		Doc: "name of a cookie with the connection's id, for load balancers that keep a client at one gateway; empty: none"},
	{Path: "bridge.connect.subscribe", Kind: Subscriptions, Default: "[]", field: func(c *Config) any { return &c.Bridge.Connect.Subscribe },
		Doc: "what each Socket.IO client is subscribed to when it connects, as far as its roles allow: subject filters, or {subject, from}"},
	{Path: "bridge.connect.subscribe[].subject", Kind: Text,
		Doc: "subject filter; the token {user} stands for the user; required"},
	{Path: "bridge.connect.subscribe[].from", Kind: Text, Default: "new",
		Doc: "where a new session starts: new, first, last, last:10, -10m, a time, or a position"},
	{Path: "bridge.map", Kind: Mappings, Default: "[]", field: func(c *Config) any { return &c.Bridge.Map },
		Doc: "names of Socket.IO events that are not their subjects; the first rule that matches is used, in both directions"},
	{Path: "bridge.map[].event", Kind: Text,
		Doc: "pattern of the event's name: text with captures, such as order:{id}; required"},
	{Path: "bridge.map[].subject", Kind: Text,
		Doc: "pattern of the subject, with the same captures as whole tokens, such as events.orders.{id}; {user} is the client's own user; required"},
	{Path: "bridge.map[].key", Kind: Count, max: bridge.MaxKeyArgument,
		Doc: "which argument is the idempotency key, no payload; 0 is the first; without it, none is"},
	{Path: "limits.max_clients", Kind: Count, Default: "100000", min: 1, max: 10 * million, field: func(c *Config) any { return &c.Limits.MaxClients },
		Doc: "connections at a time; further ones are refused"},
	{Path: "limits.max_message_bytes", Kind: Size, Default: "1MiB", min: kib, max: maxFrame, field: func(c *Config) any { return &c.Limits.MaxMessageBytes },
		Doc: "one message of a client; a larger one closes its connection"},
	{Path: "limits.max_subscriptions", Kind: Count, Default: "100", min: 1, max: million, field: func(c *Config) any { return &c.Limits.MaxSubscriptions },
		Doc: "subscriptions per client"},
	{Path: "limits.publish_rate", Kind: Rate, Default: "1000/s", field: func(c *Config) any { return &c.Limits.PublishRate },
		Doc: "events that one client may publish, and requests to services, per second (/s), minute (/m) or hour (/h)"},
	{Path: "limits.publish_bytes", Kind: ByteRate, Default: "16MiB/s", min: kib, max: tib, field: func(c *Config) any { return &c.Limits.PublishBytes },
		Doc: "payloads that one client may publish per second; one message of max_message_bytes always passes at once"},
	{Path: "limits.user_publish_rate", Kind: Rate, Default: "5000/s", field: func(c *Config) any { return &c.Limits.UserPublishRate },
		Doc: "events that all connections of one user to this gateway may publish together; clients without a token are not one user, and not bounded by it"},
	{Path: "limits.user_publish_bytes", Kind: ByteRate, Default: "64MiB/s", min: kib, max: tib, field: func(c *Config) any { return &c.Limits.UserPublishBytes },
		Doc: "payloads of these events"},
	{Path: "limits.request_rate", Kind: Rate, Default: "500/s", field: func(c *Config) any { return &c.Limits.RequestRate },
		Doc: "what one client may ask for beside publishing, for each of sub, off, work, auth and ping, and joins of Socket.IO namespaces; as many as max_subscriptions always pass at once"},
	{Path: "limits.max_inflight", Kind: Count, Default: "4096", min: 1, max: million, field: func(c *Config) any { return &c.Limits.MaxInflight },
		Doc: "publishes and requests of one client that are not answered yet; a further one waits for a second, and is refused"},
	{Path: "limits.per_user", Kind: Count, Default: "1000", min: 1, max: 10 * million, field: func(c *Config) any { return &c.Limits.PerUser },
		Doc: "connections of one user to this gateway, of all protocols together, each namespace of Socket.IO one; clients without a token are not one user, and not bounded by it"},
	{Path: "limits.per_address", Kind: Count, Default: "1000", min: 1, max: 10 * million, field: func(c *Config) any { return &c.Limits.PerAddress },
		Doc: "connections per remote address, or network of 64 bits of IPv6"},
	{Path: "limits.handshake_rate", Kind: Rate, Default: "5000/s", field: func(c *Config) any { return &c.Limits.HandshakeRate },
		Doc: "connections opened, let in or not, of all addresses"},
	{Path: "limits.handshake_rate_per_address", Kind: Rate, Default: "1000/s", field: func(c *Config) any { return &c.Limits.HandshakeRatePerAddress },
		Doc: "connections opened, let in or not, per remote address"},
	{Path: "limits.handshake_timeout", Kind: Duration, Default: "10s", field: func(c *Config) any { return &c.Limits.HandshakeTimeout },
		Doc: "how long the TLS handshake may take, and after it the header of a request"},
	{Path: "limits.message_timeout", Kind: Duration, Default: "30s", field: func(c *Config) any { return &c.Limits.MessageTimeout },
		Doc: "how long a message of a client, or the body of a POST, may take from its beginning to its end"},
	{Path: "limits.max_header_bytes", Kind: Size, Default: "16KiB", min: 4 * kib, max: mib, field: func(c *Config) any { return &c.Limits.MaxHeaderBytes },
		Doc: "the header of a request; a larger one is refused with 431, and so are more than 200 fields"},
	{Path: "limits.auth_timeout", Kind: Duration, Default: "10s", field: func(c *Config) any { return &c.Limits.AuthTimeout },
		Doc: "how long a client that needs a token may take to send it"},
	{Path: "limits.max_durables", Kind: Count, Default: "100", min: 1, max: million, field: func(c *Config) any { return &c.Limits.MaxDurables },
		Doc: "durable subscriptions per user"},
	{Path: "log.max_messages", Kind: Count, Default: "100000", min: 1, max: 100 * million, field: func(c *Config) any { return &c.Log.MaxMessages },
		Doc: "events kept in memory, so that reconnects are not served from disk"},
	{Path: "log.max_bytes", Kind: Size, Default: "64MiB", min: mib, max: tib, field: func(c *Config) any { return &c.Log.MaxBytes },
		Doc: "memory for these events"},
	{Path: "durable_inactive_threshold", Kind: Duration, Default: "72h", field: func(c *Config) any { return &c.DurableInactiveThreshold },
		Doc: "a durable subscription that nobody uses for this long is deleted"},
	{Path: "drain", Kind: Duration, Default: "10s", field: func(c *Config) any { return &c.Drain },
		Doc: "time for a clean shutdown; what is not done by then is cut off"},
	{Path: "ping.interval", Kind: Duration, Default: "25s", field: func(c *Config) any { return &c.Ping.Interval },
		Doc: "how often a silent client is asked whether it is there"},
	{Path: "ping.timeout", Kind: Duration, Default: "20s", field: func(c *Config) any { return &c.Ping.Timeout },
		Doc: "how long its answer may take"},
}

// anonymousDefault is the registered default of auth.anonymous. The effective
// one depends on listen; see defaultAnonymous.
const anonymousDefault = "dev"

const defaultStreams = `[{name: EVENTS, subjects: [events.>]}]`

const defaultRoles = `{` +
	`dev: {pub: [">"], sub: [">"], work: [">"], req: [">"]}, ` +
	`user: {pub: [events.chat.>, jobs.*], sub: [events.chat.>, "events.users.{user}.>"], work: [], req: [svc.>]}}`

// later are keys that are documented and belong to later releases. They get a
// sentence of their own: nobody should look for a typing error.
var later = []string{"nats.embedded.cluster"}

// keyAt returns the key with this path.
func keyAt(path string) (Key, bool) {
	for _, k := range keys {
		if k.Path == path {
			return k, true
		}
	}
	return Key{}, false
}

// section reports whether some key lies below the path.
func section(path string) bool {
	for _, k := range keys {
		if strings.HasPrefix(k.Path, path+".") {
			return true
		}
	}
	return false
}

// laterKey returns the key of a later release that the path is or lies in.
func laterKey(path string) (string, bool) {
	for _, l := range later {
		if path == l || strings.HasPrefix(path, l+".") {
			return l, true
		}
	}
	return "", false
}
