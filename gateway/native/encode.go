package native

import (
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// The functions of this file append one server frame, as JSON text, to dst.
// Whoever sends it puts it into a WebSocket text frame (websock.AppendText).
// A ref is what [Frame.Ref] returned: JSON text already.

// Protocol is the name of the protocol and its version, the value of "hi".
const Protocol = "jetway/1"

// Hi is what the first frame tells.
type Hi struct {
	Session         string
	User            string
	Ping            time.Duration // how often the server pings
	MaxMessageBytes int
	Dedupe          time.Duration // how long a key is remembered; 0 leaves it out
	Expires         time.Time     // when the token expires; zero leaves it out
}

// AppendHi appends the first frame.
func AppendHi(dst []byte, h *Hi) []byte {
	dst = append(dst, `{"hi":"`+Protocol+`","session":`...)
	dst = jsontext.AppendString(dst, h.Session)
	dst = append(dst, `,"user":`...)
	dst = jsontext.AppendString(dst, h.User)
	dst = append(dst, `,"ping":`...)
	dst = appendDuration(dst, h.Ping)
	dst = append(dst, `,"max_message_bytes":`...)
	dst = strconv.AppendInt(dst, int64(h.MaxMessageBytes), 10)
	if h.Dedupe > 0 {
		dst = append(dst, `,"dedupe":`...)
		dst = appendDuration(dst, h.Dedupe)
	}
	if !h.Expires.IsZero() {
		dst = append(dst, `,"expires":`...)
		dst = appendTime(dst, h.Expires)
	}
	return append(dst, '}')
}

// AppendOK appends the plain yes: to seen, off, ack, nak, wip, term.
func AppendOK(dst []byte, ref string) []byte {
	return append(appendRef(dst, "ok", ref), '}')
}

// AppendIdentity appends the answer to an auth: who the client is from now on,
// and until when; zero leaves it out.
func AppendIdentity(dst []byte, ref, user string, expires time.Time) []byte {
	dst = append(appendRef(dst, "ok", ref), `,"user":`...)
	dst = jsontext.AppendString(dst, user)
	if !expires.IsZero() {
		dst = append(dst, `,"expires":`...)
		dst = appendTime(dst, expires)
	}
	return append(dst, '}')
}

// AppendExpiring appends the warning that the client's token ends.
func AppendExpiring(dst []byte, expires time.Time, in time.Duration) []byte {
	dst = append(dst, `{"expiring":`...)
	dst = appendTime(dst, expires)
	dst = append(dst, `,"in":`...)
	dst = appendDuration(dst, in)
	return append(dst, `,"hint":"send auth with a new token of the same user, as in {\"auth\":TOKEN}"}`...)
}

// Published is the answer to a pub.
type Published struct {
	Pos   bridge.Position // nil when no stream stores the subject
	Dup   bool            // the key was seen before
	Watch string          // the subject of the job's events; "" when it is no job
}

// AppendPublished appends the answer to a pub.
func AppendPublished(dst []byte, ref string, p Published) []byte {
	dst = appendRef(dst, "ok", ref)
	dst = appendPos(dst, "pos", p.Pos)
	if p.Dup {
		dst = append(dst, `,"dup":true`...)
	}
	if p.Watch != "" {
		dst = append(dst, `,"watch":`...)
		dst = jsontext.AppendString(dst, p.Watch)
	}
	return append(dst, '}')
}

// Subscribed is the answer to a sub or a work.
type Subscribed struct {
	SID    string
	From   bridge.Position // delivery starts after it; nil for live-only and for work
	Behind uint64          // how many messages lie ahead; not sent when From is nil
	Gap    *Gap            // nil when nothing is missing
}

// Gap is the stretch between two positions whose messages no longer exist.
type Gap struct{ After, Next bridge.Position }

// AppendSubscribed appends the answer to a sub or a work.
func AppendSubscribed(dst []byte, ref string, s *Subscribed) []byte {
	dst = appendRef(dst, "ok", ref)
	dst = append(dst, `,"sid":`...)
	dst = jsontext.AppendString(dst, s.SID)
	if s.From != nil {
		dst = appendPos(dst, "from", s.From)
		dst = append(dst, `,"behind":`...)
		dst = strconv.AppendUint(dst, s.Behind, 10)
	}
	if s.Gap != nil {
		dst = append(dst, `,"gap":{`...)
		dst = appendGap(dst, s.Gap.After, s.Gap.Next)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// AppendReply appends a microservice's answer to a req.
func AppendReply(dst []byte, ref string, e *bridge.Event) []byte {
	dst = appendHead(appendRef(dst, "ok", ref), e.Head)
	return append(appendPayload(dst, e.Data), '}')
}

// AppendErr appends a refusal.
func AppendErr(dst []byte, ref string, e *bridge.Error) []byte {
	dst = appendRef(dst, "err", ref)
	dst = append(dst, `,"code":`...)
	dst = jsontext.AppendString(dst, string(e.Code))
	dst = append(dst, `,"msg":`...)
	dst = jsontext.AppendString(dst, e.Msg)
	if e.Hint != "" {
		dst = append(dst, `,"hint":`...)
		dst = jsontext.AppendString(dst, e.Hint)
	}
	if e.Retry > 0 {
		dst = append(dst, `,"retry":`...)
		dst = appendDuration(dst, e.Retry)
	}
	return append(dst, '}')
}

// AppendPong appends the answer to the ping f: its value as it was. With an id
// it is an "ok" too, for clients that wait for one.
func AppendPong(dst []byte, f *Frame) []byte {
	return appendAnswer(dst, f.ID, "pong", f.Value)
}

// AppendHelp appends every verb, with what it means and an example, as an answer to the frame f.
func AppendHelp(dst []byte, f *Frame) []byte {
	list := []byte{'{'}
	for v := VerbAuth; v < VerbHelp; v++ {
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = jsontext.AppendString(list, verbs[v].name)
		list = append(list, `:{"means":`...)
		list = jsontext.AppendString(list, verbs[v].means)
		list = append(list, `,"example":`...)
		list = append(list, verbs[v].example...)
		list = append(list, '}')
	}
	return appendAnswer(dst, f.ID, "help", append(list, '}'))
}

func appendAnswer(dst []byte, id, name string, value []byte) []byte {
	if id != "" {
		dst = append(appendRef(dst, "ok", id), ',', '"')
	} else {
		dst = append(dst, '{', '"')
	}
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	dst = append(dst, value...)
	return append(dst, '}')
}

// Bye is what the server says before it closes.
type Bye struct {
	Code  int // the close code that follows
	Why   string
	Retry time.Duration // when to come back, jittered per client; 0 leaves it out
}

// AppendBye appends the server's last frame.
func AppendBye(dst []byte, b Bye) []byte {
	dst = append(dst, `{"bye":true,"code":`...)
	dst = strconv.AppendInt(dst, int64(b.Code), 10)
	dst = append(dst, `,"why":`...)
	dst = jsontext.AppendString(dst, b.Why)
	if b.Retry > 0 {
		dst = append(dst, `,"retry":`...)
		dst = appendDuration(dst, b.Retry)
	}
	return append(dst, '}')
}

// AppendLive appends "this subscription has caught up".
func AppendLive(dst []byte, sid string, pos bridge.Position) []byte {
	dst = append(dst, `{"live":`...)
	dst = jsontext.AppendString(dst, sid)
	return append(appendPos(dst, "pos", pos), '}')
}

// AppendGapFrame appends "the messages between these two no longer exist".
func AppendGapFrame(dst []byte, sid string, after, next bridge.Position) []byte {
	dst = append(dst, `{"gap":`...)
	dst = jsontext.AppendString(dst, sid)
	dst = append(dst, ',')
	return append(appendGap(dst, after, next), '}')
}

// AppendEnd appends "nothing more will come".
func AppendEnd(dst []byte, sid, why string) []byte {
	dst = append(dst, `{"end":`...)
	dst = jsontext.AppendString(dst, sid)
	dst = append(dst, `,"why":`...)
	return append(jsontext.AppendString(dst, why), '}')
}

func appendGap(dst []byte, after, next bridge.Position) []byte {
	dst = append(dst, `"after":"`...)
	dst = after.Append(dst)
	dst = append(dst, `","next":"`...)
	dst = next.Append(dst)
	return append(dst, '"')
}

func appendRef(dst []byte, verb, ref string) []byte {
	dst = append(dst, '{', '"')
	dst = append(dst, verb...)
	dst = append(dst, '"', ':')
	return append(dst, ref...)
}

// appendPos appends a position as one more member, nothing when it is nil. Its
// wire form needs no escaping.
func appendPos(dst []byte, name string, pos bridge.Position) []byte {
	if pos == nil {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':', '"')
	dst = pos.Append(dst)
	return append(dst, '"')
}

func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

// appendPayload appends a payload as one more member: JSON as "data", as it
// is, anything else as "b64".
func appendPayload(dst, payload []byte) []byte {
	if isJSON(payload) {
		return append(append(dst, `,"data":`...), payload...)
	}
	dst = append(dst, `,"b64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, payload)
	return append(dst, '"')
}

// appendHead appends the headers as one flat map. NATS allows a name several
// times, a map does not: such values are joined as HTTP does (RFC 9110, 5.3).
func appendHead(dst []byte, head []bridge.Field) []byte {
	if len(head) == 0 {
		return dst
	}
	dst = append(dst, `,"head":{`...)
	for i, f := range head {
		if indexName(head[:i], f.Name) >= 0 {
			continue
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsontext.AppendString(dst, f.Name)
		dst = append(dst, ':')
		dst = jsontext.AppendString(dst, joined(head[i:]))
	}
	return append(dst, '}')
}

// joined returns the first field's value and those of the fields that share
// its name.
func joined(head []bridge.Field) string {
	value, name := head[0].Value, head[0].Name
	for rest := head[1:]; ; {
		i := indexName(rest, name)
		if i < 0 {
			return value
		}
		value += ", " + rest[i].Value
		rest = rest[i+1:]
	}
}

func indexName(head []bridge.Field, name string) int {
	return slices.IndexFunc(head, func(f bridge.Field) bool { return f.Name == name })
}
