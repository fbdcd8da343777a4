package native

import (
	"strconv"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// AppendJob appends a job.
func AppendJob(dst []byte, j *bridge.JobDelivery) []byte {
	dst = append(dst, `{"job":`...)
	dst = jsontext.AppendString(dst, j.Event.Subject)
	dst = append(dst, `,"sid":`...)
	dst = jsontext.AppendString(dst, j.SID)
	dst = append(dst, `,"lease":`...)
	dst = jsontext.AppendString(dst, j.Lease)
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
	dst = jsontext.AppendString(dst, lease)
	dst = append(dst, `,"why":`...)
	return append(jsontext.AppendString(dst, why), '}')
}
