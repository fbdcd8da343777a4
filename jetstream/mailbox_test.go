package jetstream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/jetstream"
)

// pullJob pulls one job and returns it with the end of the pull; nil when none
// came.
func pullJob(t *testing.T, b *jetstream.Broker, queue string) *bridge.Job {
	t.Helper()
	var job *bridge.Job
	done := make(chan error, 1)
	b.Pull(&bridge.PullRequest{Subject: queue, Max: 1, MaxBytes: 1 << 20, Take: func(j *bridge.Job) { job = j }, Done: func(err error) { done <- err }})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return job
}

func settleJob(b *jetstream.Broker, j *bridge.Job) error {
	done := make(chan error, 1)
	b.Settle(j, bridge.Settlement{How: bridge.SettleAck}, func(err error) { done <- err })
	return <-done
}

// Pulls that are answered in full share a mailbox; one that came to its end
// otherwise leaves none, as something may still come for it.
func TestMailboxesAreKept(t *testing.T) {
	const jobs = 50
	o := options(t)
	o.Queues = jetstream.QueueOptions{Stream: "JOBS", Subjects: []string{"jobs.*"}, Lease: 4 * time.Second}
	b := open(t, o)
	if err := b.OpenQueue(t.Context(), "jobs.mail"); err != nil {
		t.Fatal(err)
	}
	pulls := make(chan *nats.Msg, 2*jobs)
	if _, err := b.Conn().ChanSubscribe("$JS.API.CONSUMER.MSG.NEXT.JOBS.*", pulls); err != nil {
		t.Fatal(err)
	}
	for i := range jobs {
		stored := make(chan error, 1)
		b.Publish(&bridge.Publication{Slot: b.QueueStream().Slot, Subject: "jobs.mail", Data: fmt.Append(nil, i)}, func(_ bridge.Receipt, err error) { stored <- err })
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
	}
	for i := range jobs {
		if j := pullJob(t, b, "jobs.mail"); j == nil || string(j.Event.Data) != fmt.Sprint(i) {
			t.Fatalf("pull %d brought %+v", i, j)
		} else if err := settleJob(b, j); err != nil {
			t.Fatal(err)
		}
	}
	used := map[string]int{}
	for range jobs {
		used[(<-pulls).Reply]++
	}
	// A pull that begins before the end of the one before is over needs another.
	if len(used) > jobs/5 {
		t.Errorf("%d pulls, one after the other, used %d mailboxes", jobs, len(used))
	}

	// Nothing was asked for there any more: it goes back.
	back, err := b.Conn().SubscribeSync("$JS.ACK.JOBS.other.>")
	if err != nil {
		t.Fatal(err)
	}
	b.ToIdleMailbox(&nats.Msg{Reply: "$JS.ACK.JOBS.other.1.7.7.1.0"})
	if m, err := back.NextMsg(deadline); err != nil || !strings.HasPrefix(string(m.Data), "-NAK") {
		t.Errorf("a message that nobody waits for: %v, %v", m, err)
	}

	for range 3 { // as many as there can be, and one more
		if j := pullJob(t, b, "jobs.mail"); j != nil {
			t.Fatalf("the queue is empty, but for %s", j.Event.Data)
		}
	}
	<-pulls
	<-pulls
	if m := <-pulls; used[m.Reply] > 0 {
		t.Error("the mailbox of a pull that ran out of time was used again")
	}
}
