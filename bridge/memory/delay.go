package memory

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// delays are the jobs whose time has not come: what a stream of schedules is
// to JetStream. The mutex of the queues guards all of it.
type delays struct {
	info  *bridge.Stream
	last  uint64
	ids   *dedupe
	jobs  []*delayed  // the next one first
	alarm *time.Timer // for the next one; nil before the first
}

// delayed is a job that is not in its queue yet.
type delayed struct {
	seq uint64
	at  time.Time
	p   *bridge.Publication
}

func newDelays(slot int, q Queues) *delays {
	return &delays{
		info: &bridge.Stream{Slot: slot, Name: q.Stream + "_DELAYED", Tag: newTag()},
		ids:  newDedupe(q.Dedupe),
	}
}

// delayLocked keeps a job until its time. One with the name of another takes
// its place, as a schedule of JetStream would.
func (qs *queues) delayLocked(p *bridge.Publication) (bridge.Receipt, error) {
	d := qs.delays
	if d == nil {
		return bridge.Receipt{}, &bridge.Error{Code: bridge.CodeNoStream, Msg: "this broker cannot delay jobs"}
	}
	if err := checkDelayed(p); err != nil {
		return bridge.Receipt{}, err
	}
	now := time.Now()
	d.ids.expire(now)
	if p.ID != "" {
		if seq, seen := d.ids.seq(p.ID); seen {
			return bridge.Receipt{Stream: d.info, Seq: seq, Duplicate: true}, nil
		}
	}
	d.last++
	if p.ID != "" {
		d.ids.add(p.ID, d.last, now)
	}
	d.put(&delayed{seq: d.last, at: p.NotBefore, p: p})
	r := bridge.Receipt{Stream: d.info, Seq: d.last}
	qs.awakeLocked(now)
	return r, nil
}

func checkDelayed(p *bridge.Publication) error {
	switch {
	case p.Name == "" || strings.Contains(p.Name, ".") || bridge.ValidSubject(p.Name) != nil:
		return &bridge.Error{Code: bridge.CodeBadSubject, Msg: "a delayed job needs a name of one token"}
	case p.Expect != nil:
		return &bridge.Error{Code: bridge.CodeBadFrame, Msg: "a delayed job cannot have a condition"}
	}
	return nil
}

func (d *delays) put(job *delayed) {
	d.jobs = slices.DeleteFunc(d.jobs, func(other *delayed) bool {
		return other.p.Name == job.p.Name
	})
	i, _ := slices.BinarySearchFunc(d.jobs, job, func(a, b *delayed) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq))
	})
	d.jobs = slices.Insert(d.jobs, i, job)
}

// awakeLocked adds the jobs whose time has come to their queues, and sets the
// alarm for the next one.
func (qs *queues) awakeLocked(now time.Time) {
	d := qs.delays
	for len(d.jobs) > 0 && !now.Before(d.jobs[0].at) {
		q := qs.queueLocked(d.jobs[0].p.Subject)
		q.late = append(q.late, d.jobs[0])
		d.jobs = d.jobs[1:]
		qs.admitLocked(q)
	}
	d.stop()
	if len(d.jobs) == 0 {
		return
	}
	d.alarm = time.AfterFunc(d.jobs[0].at.Sub(now), func() {
		qs.lock()
		if !qs.closed {
			qs.awakeLocked(time.Now())
		}
		qs.tell(qs.unlock())
	})
}

func (d *delays) stop() {
	if d.alarm != nil {
		d.alarm.Stop()
	}
}

// admitLocked adds the late jobs for which there is room now. Their ids
// counted when they were delayed.
func (qs *queues) admitLocked(q *queue) {
	for len(q.late) > 0 {
		p := *q.late[0].p
		p.ID = ""
		if _, err := qs.storeLocked(&p); err != nil {
			break // full; whoever makes room calls again, and every pull
		}
		q.late = q.late[1:]
	}
	qs.serveLocked(q)
}
