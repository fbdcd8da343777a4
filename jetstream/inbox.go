package jetstream

import (
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
)

// inbox takes the answers to many requests through one subscription. nats.go
// has such a thing for requests with one answer each; a batched direct get has
// many, and a publish should not cost a channel.
type inbox struct {
	prefix string

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]receiver
}

// receiver gets the answers to a request, from one goroutine for the whole
// inbox; it must not block.
type receiver interface{ receive(m *nats.Msg) }

// newInbox subscribes on nc to what is below prefix, which must be unique; the
// subscription ends with the connection.
func newInbox(nc *nats.Conn, prefix string) (*inbox, error) {
	i := &inbox{prefix: prefix + ".", waiting: map[uint64]receiver{}}
	sub, err := nc.Subscribe(i.prefix+"*", i.dispatch)
	if err != nil {
		return nil, err
	}
	// What is asked for is bounded by those who ask; dropping an answer here
	// would be a time-out for nothing.
	return i, sub.SetPendingLimits(-1, -1)
}

// open registers r and returns the reply subject that reaches it.
func (i *inbox) open(r receiver) (id uint64, reply string) {
	i.mu.Lock()
	i.last++
	id = i.last
	i.waiting[id] = r
	i.mu.Unlock()
	var b [64]byte
	return id, string(strconv.AppendUint(append(b[:0], i.prefix...), id, 36))
}

// close forgets a request; later answers to it are dropped.
func (i *inbox) close(id uint64) {
	i.mu.Lock()
	delete(i.waiting, id)
	i.mu.Unlock()
}

func (i *inbox) dispatch(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(i.prefix):], 36, 64)
	if err != nil {
		return // not from us: nobody else knows the prefix
	}
	i.mu.Lock()
	r := i.waiting[id]
	i.mu.Unlock()
	if r != nil {
		r.receive(m)
	}
}
