package bridge

import (
	"context"
	"time"
)

// Broker is the message system as the bridge needs it. There are two: NATS
// JetStream (package jetstream) and memory (package bridge/memory); package
// bridge/brokertest holds the suite that both pass.
//
// All methods may be called concurrently. Methods with a context return soon
// after it ends. Errors that are an [Error] reach the client as they are; a
// broker that does not answer in time returns one with [CodeUnavailable].
// Slots are those of Streams; a slot out of range is a programming error.
type Broker interface {
	// Streams returns the present incarnation of each exposed stream. Their
	// number and order never change. Subjects of two streams never overlap. An
	// incarnation is the same pointer everywhere: here, in events, batches,
	// states, and in the calls to a Follower.
	Streams() []*Stream

	// Ready returns nil when the broker can serve, else a sentence for the
	// operator that says why not.
	Ready() error

	// Follow hands every message of a stream, from the sequence from on, to a
	// follower: in order, each once, until ctx ends, through lost connections
	// and restarts of the broker. All calls to the follower come from one
	// goroutine at a time. It returns ctx.Err() and nothing else.
	Follow(ctx context.Context, slot int, from uint64, to Follower) error

	// Publish stores a message, or, when no stream covers its subject, sends
	// it to whoever listens now. done is called exactly once, from any
	// goroutine, perhaps before Publish returns, and must not block: with nil
	// only after the message is as safe as the stream's storage promises.
	// Messages of one owner are stored in the order of the calls.
	// [CodeUnavailable] means that the outcome is unknown.
	Publish(p *Publication, done func(Receipt, error))

	// State tells what a stream holds now.
	State(ctx context.Context, slot int) (StreamState, error)

	// Read returns a part of a stream's history, see [ReadRequest].
	Read(ctx context.Context, r ReadRequest) (Batch, error)

	// ReadSeqs returns the messages with these sequences (ascending); those
	// that no longer exist are left out.
	ReadSeqs(ctx context.Context, slot int, seqs []uint64) ([]*Event, error)

	// Count returns how many messages match the filter in the whole stream.
	Count(ctx context.Context, slot int, filter string) (uint64, error)

	// LastSeq returns the sequence of the newest message on a subject (no
	// wildcards), 0 when there is none.
	LastSeq(ctx context.Context, slot int, subject string) (uint64, error)

	// LastSeqs returns, ascending, the sequences of the newest message of each
	// subject that matches the filter, as far as they are <= upTo. More than
	// max of them is an error with [CodeTooBig].
	LastSeqs(ctx context.Context, slot int, filter string, upTo uint64, max int) ([]uint64, error)

	// SeqOfNth returns the sequence of the nth newest message that matches the
	// filter (n >= 1), or the first sequence kept when there are fewer.
	SeqOfNth(ctx context.Context, slot int, filter string, n uint64) (uint64, error)

	// SeqAt returns the sequence of the first message stored at or after t, or
	// the last sequence + 1 when there is none.
	SeqAt(ctx context.Context, slot int, t time.Time) (uint64, error)

	// Listen hands over what is published from now on on subjects that match
	// the filter and that no stream covers: at most once, live only. Events
	// have no Stream. fn must not block. After stop returns, fn is not called;
	// so fn must not call stop, nor take a lock that is held around stop.
	Listen(filter string, fn func(*Event)) (stop func(), err error)

	// OpenDurable finds the durable cursor d, or makes it with everything up
	// to the sequence start seen. It returns the sequence up to which all is
	// seen, and whether it existed. One that exists with another filter is an
	// error with [CodeConflict]; one too many, [CodeRateLimited].
	OpenDurable(ctx context.Context, slot int, d Durable, start uint64) (seen uint64, existed bool, err error)

	// MoveDurable stores that everything up to seen is seen; it may also go
	// back. It counts as use: a durable that is not used for as long as the
	// broker's threshold is deleted. One that is gone is [CodeNotFound].
	MoveDurable(ctx context.Context, slot int, d Durable, seen uint64) error

	// Signal tells all gateways, this one included, something: the control
	// subjects jetway.ctl.<name>, where name is one valid token. At most once.
	Signal(name string, data []byte) error

	// Signals hands over what gateways signal from now on.
	Signals(fn func(name string, data []byte)) (stop func(), err error)
}

// Follower receives a stream, see [Broker.Follow]. None of its methods blocks
// for long.
type Follower interface {
	// Append hands over the next message; e.Seq is above all before.
	Append(e *Event)

	// Reached says that everything up to seq has been handed over or does not
	// exist. It is called at least when the follower has caught up with the
	// stream for the first time, also on an empty stream (seq may be 0).
	Reached(s *Stream, seq uint64)

	// Lost says that messages between the two sequences (both exclusive)
	// cannot be handed over although nobody deleted them one by one: trimmed
	// by the stream's limits before they were read, or damaged on disk.
	Lost(s *Stream, after, next uint64)

	// Renewed says that the stream is another incarnation from here on; the
	// next message may have any sequence. With the present incarnation it says
	// that a stream that was Gone is back as it was, and goes on.
	Renewed(s *Stream)

	// Gone says that the stream does not exist any more. Renewed follows if it
	// is made again.
	Gone(s *Stream)
}

// Publication is a message to be stored. It must not be changed afterwards.
type Publication struct {
	Slot    int           // the stream that covers Subject, -1 for none
	Subject string        // without wildcards, valid
	Data    []byte        // payload
	Head    []Field       // headers, NATS's own excepted
	ID      string        // deduplication id, "" for none
	TTL     time.Duration // the stream drops it after this; 0 for never; whole seconds
	Expect  *uint64       // store it only if the subject's newest sequence is this (0: none), else [CodeConflict]
	Owner   string        // who sends it (the user): faults are kept from other owners' messages

	// NotBefore keeps a job out of its queue until then; zero does not. Name,
	// one valid token, then tells it from all other delayed jobs.
	NotBefore time.Time
	Name      string
}

// Receipt says where a message was stored. Without a stream it is zero.
type Receipt struct {
	Stream    *Stream
	Seq       uint64
	Duplicate bool // ID was seen before in the stream's dedupe window; Seq is the first one's
}

// StreamState is what a stream holds.
type StreamState struct {
	Stream   *Stream
	First    uint64 // first sequence kept; Last+1 when nothing is
	Last     uint64 // last sequence given out; 0 before the first
	Messages uint64
	Bytes    uint64
	Dedupe   time.Duration // window in which a Publication.ID is remembered
}

// ReadRequest asks for messages with Seq >= From, ascending.
type ReadRequest struct {
	Slot        int
	Filter      string // "": all messages, which is the cheapest read there is
	From        uint64 // 0 and 1 mean the beginning
	MaxMessages int    // at most this many (> 0)
	MaxBytes    int    // stop after about this many bytes of payload; 0: no limit
}

// Batch is what a read found.
type Batch struct {
	Stream *Stream  // the incarnation that was read
	Events []*Event // ascending
	Next   uint64   // all matching messages below it are in Events or do not exist
	Lost   []Range  // holes below Next that nobody made by deleting (unfiltered reads only)
}

// Range is the messages between two sequences, both exclusive.
type Range struct{ After, Next uint64 }

// Durable names a durable cursor: one per user, name and stream.
type Durable struct {
	User   string
	Name   string // as the client gave it, valid by [ValidName]
	Filter string
}
