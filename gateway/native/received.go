package native

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/internal/jsontext"
)

// Kind is what a server's frame is.
type Kind uint8

// The kinds of server frames.
const (
	KindUnknown Kind = iota
	KindHi
	KindOK
	KindErr
	KindEvent
	KindLive
	KindGap
	KindEnd
	KindJob
	KindLost
	KindPong
	KindHelp
	KindBye
	KindExpiring
)

// Received is one frame of a server, as a client reads it.
type Received struct {
	Kind Kind
	Ref  string // ok, err: the id as JSON text
	SID  string

	Subject string // events and jobs
	Pos     string
	Time    time.Time
	Lag     uint64
	Head    []bridge.Field
	Data    []byte // JSON text, byte for byte
	Binary  []byte // what "b64" decodes to; not nil when it was there

	Dup         bool // answer to a pub
	Watch       string
	From        string // answer to a sub
	Behind      uint64
	After, Next string // a gap: a frame's own, or the one in the answer to a sub

	Lease string // a job, or a lost lease
	Try   int
	For   time.Duration

	Code  int           // bye
	Why   string        // end, lost, bye
	Retry time.Duration // bye
	Err   *bridge.Error // err

	Session         string // hi
	User            string // hi, and the answer to auth
	Expires         time.Time
	In              time.Duration // expiring
	Ping            time.Duration
	MaxMessageBytes int
	Value           []byte // pong, help: JSON text
}

// Payload returns what the frame carries; ok is false when it has neither
// "data" nor "b64".
func (r *Received) Payload() (p []byte, ok bool) {
	if r.Data != nil {
		return r.Data, true
	}
	return r.Binary, r.Binary != nil
}

// ParseReceived reads one text message of a server into r. The fields alias b,
// which must not be changed as long as they are used. Frames and fields that
// this version does not know are no error: the first are [KindUnknown].
func ParseReceived(b []byte, r *Received) error {
	*r = Received{}
	var code string
	e := new(bridge.Error)
	err := jsontext.EachMember(b, func(name string, value []byte) error {
		if r.kind(name, value) {
			return nil
		}
		switch name {
		case "code":
			code = looseText(value)
			_ = json.Unmarshal(value, &r.Code) // a number in bye, a string in err
		case "msg":
			if r.Kind == KindErr {
				e.Msg = looseText(value)
			}
		case "hint":
			e.Hint = looseText(value)
		default:
			return r.member(name, value)
		}
		return nil
	})
	if r.Kind == KindErr {
		e.Code, e.Retry = bridge.Code(code), r.Retry
		r.Err = e
	}
	return err
}

// kind takes the member that says what the frame is: the first one in every
// frame of the server, so that "msg" in an err is not taken for an event.
func (r *Received) kind(name string, value []byte) bool {
	if r.Kind != KindUnknown && (r.Kind != KindOK || name != "pong" && name != "help") {
		return false
	}
	switch name {
	case "hi":
		r.Kind = KindHi
	case "ok":
		r.Kind, r.Ref = KindOK, jsontext.View(value)
	case "err":
		r.Kind, r.Ref = KindErr, jsontext.View(value)
	case "msg":
		r.Kind, r.Subject = KindEvent, looseText(value)
	case "job":
		r.Kind, r.Subject = KindJob, looseText(value)
	case "live":
		r.Kind, r.SID = KindLive, looseText(value)
	case "gap":
		if value[0] != '"' {
			return false // the member of an answer to sub
		}
		r.Kind, r.SID = KindGap, looseText(value)
	case "end":
		r.Kind, r.SID = KindEnd, looseText(value)
	case "lost":
		r.Kind, r.Lease = KindLost, looseText(value)
	case "bye":
		r.Kind = KindBye
	case "expiring":
		r.Kind = KindExpiring
		r.Expires, _ = time.Parse(time.RFC3339Nano, looseText(value)) // zero is unknown, and In may do
	case "pong", "help":
		r.Value = value
		if r.Kind == KindUnknown {
			r.Kind = map[string]Kind{"pong": KindPong, "help": KindHelp}[name]
		}
	default:
		return false
	}
	return true
}

func (r *Received) member(name string, value []byte) (err error) {
	switch name {
	case "sid":
		r.SID = looseText(value)
	case "pos":
		r.Pos = looseText(value)
	case "t":
		r.Time, err = time.Parse(time.RFC3339Nano, looseText(value))
	case "lag":
		err = json.Unmarshal(value, &r.Lag)
	case "data":
		r.Data = value
	case "b64":
		r.Binary, err = base64.StdEncoding.AppendDecode([]byte{}, []byte(looseText(value)))
	case "head":
		err = jsontext.EachMember(value, func(name string, value []byte) error {
			r.Head = append(r.Head, bridge.Field{Name: name, Value: looseText(value)})
			return nil
		})
	case "gap":
		err = jsontext.EachMember(value, r.member)
	case "after":
		r.After = looseText(value)
	case "next":
		r.Next = looseText(value)
	default:
		err = r.rare(name, value)
	}
	return err
}

// rare takes the members that come once per connection or per job.
func (r *Received) rare(name string, value []byte) (err error) {
	switch name {
	case "dup":
		r.Dup = string(value) == "true"
	case "watch":
		r.Watch = looseText(value)
	case "from":
		r.From = looseText(value)
	case "behind":
		err = json.Unmarshal(value, &r.Behind)
	case "why":
		r.Why = looseText(value)
	case "retry":
		r.Retry, err = time.ParseDuration(looseText(value))
	case "session":
		r.Session = looseText(value)
	case "user":
		r.User = looseText(value)
	case "expires":
		r.Expires, err = time.Parse(time.RFC3339Nano, looseText(value))
	case "in":
		r.In, err = time.ParseDuration(looseText(value))
	case "ping":
		r.Ping, err = time.ParseDuration(looseText(value))
	case "max_message_bytes":
		err = json.Unmarshal(value, &r.MaxMessageBytes)
	case "lease":
		r.Lease = looseText(value)
	case "try":
		err = json.Unmarshal(value, &r.Try)
	case "for":
		r.For, err = time.ParseDuration(looseText(value))
	}
	return err
}

// looseText is a string's text, "" for what is not a string.
func looseText(value []byte) string {
	s, _ := stringOf(value)
	return s
}
