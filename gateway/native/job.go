package native

import (
	"strconv"

	"github.com/jetway-io/jetway/bridge"
)

// AppendJob appends a job.
func AppendJob(dst []byte, j *bridge.JobDelivery) []byte {
	dst = append(dst, `{"job":`...)
	dst = appendString(dst, j.Event.Subject)
	dst = append(dst, `,"sid":`...)
	dst = appendString(dst, j.SID)
	dst = append(dst, `,"lease":`...)
	dst = appendString(dst, j.Lease)
	dst = append(dst, `,"try":`...)
	dst = strconv.AppendInt(dst, int64(j.Try), 10)
	dst = append(dst, `,"for":`...)
	dst = appendDuration(dst, j.For)
	dst = appendPos(dst, "pos", j.Pos)
	dst = appendHead(dst, j.Event.Head)
	return append(appendPayload(dst, j.Event.Data), '}')
}

// AppendLost appends "this lease has ended without you".
func AppendLost(dst []byte, lease, why string) []byte {
	dst = append(dst, `{"lost":`...)
	dst = appendString(dst, lease)
	dst = append(dst, `,"why":`...)
	return append(appendString(dst, why), '}')
}
