package config

import (
	"net"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// Config is the validated configuration. Sizes are in bytes. The meaning,
// unit and default of each field are those of its key in [Keys].
type Config struct {
	Listen                   string
	Admin                    Admin
	TLS                      TLS
	AllowedOrigins           []string // exact origins, or "*"; empty: same origin only
	TrustedProxies           []string // [Config.Proxies] reads them
	NATS                     NATS
	Streams                  []Stream
	Queues                   Queues
	Auth                     Auth
	Roles                    map[string]Role // by name
	SocketIO                 SocketIO
	Bridge                   Bridge
	Limits                   Limits
	Log                      Log
	DurableInactiveThreshold time.Duration
	Drain                    time.Duration
	Ping                     Ping

	origins map[string]origin // by path of the key; absent: the default
	file    string            // as named by the source; "" without a file
	stray   []string          // JETWAY_ variables that set no key
}

// Admin is the listener for operators.
type Admin struct {
	Listen string // "" turns it off
}

// TLS holds the paths of a PEM certificate chain and its key; both or none.
type TLS struct {
	Cert, Key string
}

// NATS is the broker: an external one when URL is set, else the embedded one.
type NATS struct {
	URL         string // one URL or several, separated by commas
	Credentials string // path of a .creds file
	Embedded    Embedded
}

// Embedded is the NATS server inside the process.
type Embedded struct {
	StoreDir string
	Sync     time.Duration // 0: every write is synced before it is confirmed
	Listen   string        // "": in-process only
	MaxStore int64
}

// Stream is one JetStream stream that clients may use.
type Stream struct {
	Name     string
	Subjects []string
	MaxAge   time.Duration // 0: no limit
	MaxBytes int64         // 0: no limit
	Dedupe   time.Duration
	Replicas int
}

// Queues are the subjects whose events are jobs: each goes to one worker, and
// stays until it is settled. [Queues.EventSubjects] and [Queues.DeadSubjects]
// follow from Subjects.
type Queues struct {
	Subjects       []string // each a queue, or one per token with "*" at the end; empty: no queues
	Stream         string   // holds the jobs
	Lease          time.Duration
	MaxTries       int
	Backoff        []time.Duration // after the first try, the second, …; the last one repeats
	MaxJobs        int             // per queue
	Replicas       int             // of all the streams of queues
	ResumeGrace    time.Duration   // 0: a lost worker's jobs return at once
	Events         string          // stream of progress, results and failures
	EventsMaxAge   time.Duration   // 0: no limit
	EventsMaxBytes int64           // 0: no limit
	DeadLetter     string          // stream of the jobs that nobody will do
	DeadMaxBytes   int64           // 0: no limit
}

// Auth says which tokens are taken, from where, and who a client without one
// is.
type Auth struct {
	JWT       JWT
	Callout   string // a NATS subject; "": nobody is asked
	Cookie    string // name; "": tokens are not taken from cookies
	Query     string // name of a parameter; "": tokens are not taken from URLs
	Anonymous string // a name in Roles; "": such clients are refused
}

// Takes reports whether tokens are taken at all.
func (a Auth) Takes() bool {
	return a.Callout != "" || a.JWT.On()
}

// On reports whether there are keys to verify tokens with.
func (j JWT) On() bool { return j.Secret != "" || j.PublicKeyFile != "" || j.JWKSURL != "" }

// JWT says which JSON Web Tokens are good.
type JWT struct {
	Secret        string // of an HMAC
	PublicKeyFile string // path of a PEM file
	JWKSURL       string
	Issuer        string // "": any
	Audience      string // "": any
}

// Role is what its holders may do: lists of subject filters, in which the
// token "{user}" stands for the name of the user.
type Role struct {
	Pub, Sub, Work, Req []string
	Deny                Denied
	History             History
}

// Denied is what the holders of a role may not do, whatever else allows it.
type Denied struct {
	Pub, Sub, Work, Req []string
}

// History is how far back the holders of a role may read.
type History struct {
	Limited bool // false: as far as the streams keep
	Age     time.Duration
	Events  int64
}

// SocketIO is the endpoint for Socket.IO clients.
type SocketIO struct {
	Path              string   // "" turns it off
	Recovery          string   // one of the words below
	Namespaces        []string // with "/" only if it is listed
	SessionTTL        time.Duration
	PingInterval      time.Duration
	PingTimeout       time.Duration
	ConnectTimeout    time.Duration
	UpgradeTimeout    time.Duration
	MaxHTTPBufferSize int64
	Parser            string // one of the words below
	Cookie            string // name; "": none
}

// How Socket.IO clients learn their position.
const (
	RecoveryTrailing = "trailing"
	RecoveryEvent    = "event"
	RecoveryOff      = "off"
)

// How Socket.IO packets are written.
const (
	ParserAuto    = "auto"
	ParserJSON    = "json"
	ParserMsgpack = "msgpack"
)

// On reports whether Socket.IO clients can connect.
func (s SocketIO) On() bool { return s.Path != "" }

// Bridge says what the events of Socket.IO clients are on the side of NATS.
type Bridge struct {
	Connect Connect
	Map     []bridge.MapRule // [bridge.NewMapping] takes them
}

// Connect is what happens when a Socket.IO client connects.
type Connect struct {
	Subscribe []ConnectSubscription
}

// ConnectSubscription is one subscription of each client.
type ConnectSubscription struct {
	Subject string // [bridge.UserFilter] takes it: may have "{user}"
	From    string // [bridge.SubscribeRequest] has the same
}

// Limits bound what clients can use.
type Limits struct {
	MaxClients       int
	MaxMessageBytes  int64
	MaxSubscriptions int     // per client
	PublishRate      float64 // events per second and client
	PublishBytes     int64   // a second and client
	UserPublishRate  float64 // events per second and user
	UserPublishBytes int64   // a second and user
	RequestRate      float64 // a second and client
	MaxInflight      int     // per client
	PerUser          int     // connections

	HandshakeRate           float64 // a second
	HandshakeRatePerAddress float64 // a second and remote address
	HandshakeTimeout        time.Duration
	MessageTimeout          time.Duration
	MaxHeaderBytes          int64
	PerAddress              int // connections per remote address
	AuthTimeout             time.Duration
	MaxDurables             int // per user
}

// Log bounds the messages kept in memory for reconnects.
type Log struct {
	MaxMessages int
	MaxBytes    int64
}

// Ping is the heartbeat: a client that does not answer in time is gone.
type Ping struct {
	Interval, Timeout time.Duration
}

// Given reports whether a key was set by the file, a variable or a flag.
func (c *Config) Given(key string) bool {
	_, ok := c.origins[key]
	return ok
}

// loopback reports whether an address can be reached from this machine only.
// A name other than "localhost" may resolve to anything and is not loopback.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// private reports whether an address names an interface of a private network
// (RFC 1918, RFC 4193, link-local). "0.0.0.0" and "" mean every interface and
// are not private.
func private(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsPrivate() || ip.IsLinkLocalUnicast())
}
