package jetstream

import (
	"log/slog"
	"time"
)

// Defaults of [Options]; an absent (zero) value means these.
const (
	DefaultTimeout         = 5 * time.Second
	DefaultDurableInactive = 72 * time.Hour
	DefaultMaxDurables     = 10_000
	DefaultUserDurables    = 20
	DefaultSyncInterval    = 2 * time.Minute
	DefaultMaxStore        = 10 << 30
	DefaultQueueMessages   = 50_000
	DefaultQueueBytes      = 64 << 20
	DefaultLease           = 30 * time.Second
	DefaultMaxJobs         = 100_000
	DefaultMaxDelayed      = 1_000_000
	DefaultJobDedupe       = time.Hour
	DefaultSessionTTL      = 24 * time.Hour
)

// Options says where the messages are and how they are kept. The zero value,
// given a store directory and a stream, is usable.
type Options struct {
	// Logger receives what operators should know, nats-server's own log
	// included. Nil discards it.
	Logger *slog.Logger

	// URL of an external NATS server or cluster ("nats://a:4222,nats://b:4222").
	// Empty runs a server inside this process, see Embedded.
	URL string

	// Credentials is the path of a NATS credentials file for URL; empty for none.
	Credentials string

	// Embedded configures the server inside this process. Not used with URL.
	Embedded EmbeddedOptions

	// Streams are made or updated at Open; their order gives the slots.
	Streams []StreamConfig

	// Queues are the work queues; without a stream there are none.
	Queues QueueOptions

	// Sessions are what survives a client's reconnects. The zero value keeps
	// none.
	Sessions SessionOptions

	// DurableInactive is how long a durable subscription, or the consumer of a
	// queue, may be unused before it is deleted. 0 means 72 h; negative, never.
	DurableInactive time.Duration

	// MaxDurables is how many consumers a stream of the embedded server may
	// have (nats-server's own default is 1,000). It bounds memory (40 KB each)
	// and the time a shutdown takes (10 ms each). 0 means 10,000.
	MaxDurables int

	// UserDurables is how many durable subscriptions one user may have on one
	// stream: without it one user could take all of MaxDurables. 0 means 20;
	// negative, no limit.
	UserDurables int

	// Timeout is how long the broker waits for an answer from NATS before it
	// gives up with CodeUnavailable. 0 means 5 s.
	Timeout time.Duration

	// QueueMessages and QueueBytes bound what may wait to be stored, per
	// stream: beyond it a publish is refused at once instead of taking memory.
	// 0 means 50,000 messages and 64 MiB.
	QueueMessages int
	QueueBytes    int
}

// EmbeddedOptions configures the nats-server inside this process.
type EmbeddedOptions struct {
	// StoreDir is the directory of the streams. It is created if need be and
	// locked: one process at a time. Required.
	StoreDir string

	// SyncAlways makes every acknowledged message survive a power cut: it is
	// on disk, not only in the system's cache. The committer groups messages
	// so that they share the cost. A crash of the process loses nothing either
	// way.
	SyncAlways bool

	// SyncInterval is how often the store is synced without SyncAlways: about
	// what a power cut may lose. 0 means 2 min.
	SyncInterval time.Duration

	// Listen is the address at which microservices and the nats command can
	// join ("127.0.0.1:4222"; port 0 picks a free one, see [Broker.ClientURL]).
	// Empty: no listener, this process only.
	Listen string

	// MaxStore is how many bytes the streams may take on disk altogether. More
	// than what is free there is refused at Open: a full disk freezes streams
	// until a restart, a full MaxStore is a clean error. 0 means 10 GiB.
	MaxStore int64

	// MaxPayload is the largest message in bytes, headers included. 0 means
	// nats-server's default, 1 MiB.
	MaxPayload int
}

// StreamConfig is a stream to be made, or to be brought in line without ever
// losing a message: a change that would is refused at Open.
type StreamConfig struct {
	Name     string        // as NATS knows it
	Subjects []string      // the subject filters that it stores
	MaxAge   time.Duration // messages older than this are dropped; 0 keeps them
	MaxBytes int64         // oldest messages are dropped beyond this size; 0: no limit
	Dedupe   time.Duration // window in which a publication's ID is remembered; 0: as it is, 2 min for a new stream
	Replicas int           // copies in a cluster; 0: as it is, 1 for a new stream

	// DiscardNew makes a stream that is full (MaxBytes) refuse new messages
	// with CodeUnavailable instead of dropping its oldest: for what must not
	// get lost, such as dead letters. False leaves it as it is, and means the
	// oldest for a new stream.
	DiscardNew bool
}

// QueueOptions configures the work queues. All gateways of a cluster need the
// same ones: they share the consumers.
type QueueOptions struct {
	// Stream is the name of the stream that holds the jobs. It is made, or
	// brought in line, at Open. Empty: no queues.
	Stream string

	// Subjects are the subject filters of the stream; each subject that matches
	// is a queue of its own.
	Subjects []string

	// Lease is how long a worker has for a job, at least, before it may be
	// given to another. 0 means 30 s.
	Lease time.Duration

	// MaxJobs is how many jobs one queue holds; one more is refused with
	// CodeQueueFull. It bounds what a queue without workers takes from the
	// store. 0 means 100,000; negative, no limit.
	MaxJobs int64

	// MaxDelayed is how many delayed jobs wait altogether; one more is refused
	// with CodeQueueFull. Without it, delays would get around MaxJobs. Each
	// gateway counts, and learns of the others within seconds: in a cluster it
	// may be exceeded by what is published meanwhile. 0 means 1,000,000;
	// negative, no limit.
	MaxDelayed int64

	// Dedupe is the window in which a job's ID is remembered, and in which a
	// delayed job that is moved into its queue twice is stored once. 0 means
	// 1 h.
	Dedupe time.Duration

	// Replicas is how many copies of the jobs a cluster keeps. 0 means as it
	// is, 1 for a new stream.
	Replicas int

	// Delayed is the name of the stream of the jobs whose time has not come.
	// Empty means Stream with "_DELAYED" behind it. It is not made on a server
	// without message schedules (before 2.12); then no job can be delayed.
	Delayed string
}

// SessionOptions configures the bucket JETWAY_SESSIONS. All gateways of a
// cluster need the same ones: they share it.
type SessionOptions struct {
	// Keep makes the bucket, or brings it in line, at Open. Without it no
	// session is found, and saving one is refused with CodeNoStream.
	Keep bool

	// TTL is how long a session is kept that nobody saves. It bounds what
	// clients that never come back take from the store. 0 means 24 h; negative,
	// no sessions. NATS takes no less than 100 ms.
	TTL time.Duration

	// Replicas is how many copies of the sessions a cluster keeps. 0 means as
	// it is, 1 for a new bucket.
	Replicas int
}

// withDefaults returns a copy in which absent values have their defaults.
func (q QueueOptions) withDefaults() QueueOptions {
	if q.Lease == 0 {
		q.Lease = DefaultLease
	}
	if q.MaxJobs == 0 {
		q.MaxJobs = DefaultMaxJobs
	}
	if q.MaxDelayed == 0 {
		q.MaxDelayed = DefaultMaxDelayed
	}
	if q.Dedupe == 0 {
		q.Dedupe = DefaultJobDedupe
	}
	if q.Delayed == "" {
		q.Delayed = q.Stream + "_DELAYED"
	}
	return q
}

// withDefaults returns a copy in which absent values have their defaults.
func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	def := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	num := func(p *int, d int) {
		if *p == 0 {
			*p = d
		}
	}
	def(&o.Timeout, DefaultTimeout)
	def(&o.DurableInactive, DefaultDurableInactive)
	def(&o.Embedded.SyncInterval, DefaultSyncInterval)
	def(&o.Sessions.TTL, DefaultSessionTTL)
	num(&o.MaxDurables, DefaultMaxDurables)
	num(&o.UserDurables, DefaultUserDurables)
	num(&o.QueueMessages, DefaultQueueMessages)
	num(&o.QueueBytes, DefaultQueueBytes)
	if o.Embedded.MaxStore == 0 {
		o.Embedded.MaxStore = DefaultMaxStore
	}
	o.Streams = append([]StreamConfig(nil), o.Streams...)
	o.Queues = o.Queues.withDefaults()
	return o
}
