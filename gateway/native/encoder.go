package native

import (
	"encoding/base64"
	"strconv"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/websock"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// tailBytes holds a delivery's tail on the stack: a sid, the lag, and a
// position over about a dozen streams. A longer one is correct too, and
// allocates.
const tailBytes = 512

// Encoder writes deliveries as WebSocket text frames of jetway.v1. It has no
// state: one serves all clients, and may be used by all of them at once.
type Encoder struct{}

var _ bridge.Encoder = Encoder{}

// form is what this protocol makes of an event, once for all clients: the
// frame up to and including the payload.
type form struct {
	head    []byte
	payload []byte // the event's own data when that is JSON, else base64
}

// formKey names this protocol's form among those of an event.
type formKey struct{}

func makeForm(e *bridge.Event) any {
	dst := make([]byte, 0, 64+len(e.Subject))
	dst = append(dst, `{"msg":`...)
	dst = jsontext.AppendString(dst, e.Subject)
	dst = append(dst, `,"t":`...)
	dst = appendTime(dst, e.Time)
	dst = appendHead(dst, e.Head)
	if isJSON(e.Data) {
		return &form{head: append(dst, `,"data":`...), payload: e.Data}
	}
	text := make([]byte, 0, base64.StdEncoding.EncodedLen(len(e.Data))+1)
	text = base64.StdEncoding.AppendEncode(text, e.Data)
	return &form{head: append(dst, `,"b64":"`...), payload: append(text, '"')}
}

// Event writes one event for one subscription.
func (Encoder) Event(out *bridge.Output, d *bridge.Delivery) {
	f := d.Event.Encoded(formKey{}, makeForm).(*form)
	var t [tailBytes]byte
	tail := append(t[:0], `,"sid":`...)
	tail = jsontext.AppendString(tail, d.SID)
	if d.Pos != nil {
		tail = appendPos(tail, "pos", d.Pos)
		tail = append(tail, `,"lag":`...)
		tail = strconv.AppendUint(tail, d.Lag, 10)
	}
	tail = append(tail, '}')

	var h [websock.MaxHeaderBytes]byte
	out.Append(websock.AppendHeader(h[:0], websock.OpText, len(f.head)+len(f.payload)+len(tail))...)
	out.AppendShared(f.head)
	out.AppendShared(f.payload)
	out.Append(tail...)
	out.EndFrame()
}

// Live writes that a subscription has caught up.
func (Encoder) Live(out *bridge.Output, sid string, pos bridge.Position) {
	var t [tailBytes]byte
	websock.AppendText(out, AppendLive(t[:0], sid, pos))
}

// Gap writes that messages of a subscription no longer exist.
func (Encoder) Gap(out *bridge.Output, sid string, after, next bridge.Position) {
	var t [tailBytes]byte
	websock.AppendText(out, AppendGapFrame(t[:0], sid, after, next))
}

// End writes that a subscription has ended.
func (Encoder) End(out *bridge.Output, sid, why string) {
	var t [tailBytes]byte
	websock.AppendText(out, AppendEnd(t[:0], sid, why))
}

// Job writes one job for its worker.
func (Encoder) Job(out *bridge.Output, j *bridge.JobDelivery) {
	websock.AppendText(out, AppendJob(make([]byte, 0, 256+len(j.Event.Data)), j))
}

// Lost writes that a lease has ended.
func (Encoder) Lost(out *bridge.Output, lease, why string) {
	var t [tailBytes]byte
	websock.AppendText(out, AppendLost(t[:0], lease, why))
}
