package bridge

import "strings"

// A queue is a subject of the queue stream, such as jobs.resize. What belongs
// to it has subjects of its own:
//
//	jobs.events.resize.51   what became of the job 51, in order
//	dead.jobs.resize        its dead letters

// deadPrefix begins the subjects of dead letters.
const deadPrefix = "dead."

// DeadSubject is where the dead letters of a queue go; of a filter of queues,
// the filter of all of theirs.
func DeadSubject(queue string) string { return deadPrefix + queue }

// JobEventsFilter matches the events of all jobs of all queues that match a
// filter of queues, such as "jobs.*".
func JobEventsFilter(queues string) string {
	prefix, _ := cutLast(queues)
	return prefix + "events.>"
}

// jobEvents is the subject of a job's events. The job is named by its sequence,
// or, if it was delayed, by a name that it had before it had one.
func jobEvents(queue, job string) string {
	prefix, name := cutLast(queue)
	return prefix + "events." + name + "." + job
}

// cutLast splits a subject before its last token.
func cutLast(subject string) (prefix, last string) {
	i := strings.LastIndexByte(subject, '.') + 1
	return subject[:i], subject[i:]
}

// covers reports whether a stream stores a subject.
func (s *Stream) covers(subject string) bool {
	for _, filter := range s.Subjects {
		if Matches(filter, subject) {
			return true
		}
	}
	return false
}
