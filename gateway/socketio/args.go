package socketio

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jetway-io/jetway/internal/jsontext"
)

// The errors of what is sent.
var (
	// ErrArgument is returned for an argument that is not JSON, or deeper than
	// 64, or that encoding/json cannot write.
	ErrArgument = errors.New("socketio: not an argument")

	// ErrReserved is returned for an event name that no event may have:
	// connect, connect_error, disconnect, disconnecting, newListener and
	// removeListener. Stock clients close the connection over it.
	ErrReserved = errors.New("socketio: reserved event name")
)

// Arg is one argument of an event or an ack, as it was sent. As an argument of
// [Socket.Emit] it goes out as it is.
type Arg struct {
	// JSON is the argument as JSON text, with {"_placeholder":true,"num":N}
	// in the place of each attachment.
	JSON json.RawMessage

	// Attachments are those of this argument, in the order of their numbers.
	Attachments [][]byte
}

// Bytes returns the argument, if all of it is one attachment.
func (a Arg) Bytes() (data []byte, ok bool) {
	places, err := Placeholders(a.JSON)
	if err != nil || len(places) != 1 || places[0].End-places[0].Start != len(a.JSON) || places[0].Num >= len(a.Attachments) {
		return nil, false
	}
	return a.Attachments[places[0].Num], true
}

// Decode stores the argument in what v points to, as [json.Unmarshal] does. An
// attachment is, wherever it stands, what encoding/json takes for bytes: a
// []byte gets it, and an any its base64 text.
func (a Arg) Decode(v any) error {
	if data, ok := a.Bytes(); ok {
		if to, ok := v.(*[]byte); ok {
			*to = data
			return nil
		}
	}
	text := []byte(a.JSON)
	if len(a.Attachments) > 0 {
		places, err := Placeholders(text)
		if err != nil {
			return err
		}
		if text, err = a.appendBase64(nil, places); err != nil {
			return err
		}
	}
	return json.Unmarshal(text, v)
}

func (a Arg) appendBase64(dst []byte, places []Placeholder) ([]byte, error) {
	from := 0
	for _, p := range places {
		if p.Num >= len(a.Attachments) {
			return nil, ErrAttachments
		}
		dst = append(append(dst, a.JSON[from:p.Start]...), '"')
		dst = append(base64.StdEncoding.AppendEncode(dst, a.Attachments[p.Num]), '"')
		from = p.End
	}
	return append(dst, a.JSON[from:]...), nil
}

// Args are the arguments of an event or an ack, in order.
type Args []Arg

// Decode stores the arguments in what the pointers point to, see [Arg.Decode].
// What there is no argument for is left as it is, as is an argument for which
// there is no pointer, or nil.
func (a Args) Decode(to ...any) error {
	for i := range min(len(a), len(to)) {
		if to[i] == nil {
			continue
		}
		if err := a[i].Decode(to[i]); err != nil {
			return fmt.Errorf("socketio: argument %d: %w", i, err)
		}
	}
	return nil
}

// argsOf makes arguments of a packet's elements, each with its own attachments.
// The packet is one that Decode took.
func argsOf(elements, attachments [][]byte) Args {
	args := make(Args, len(elements))
	for i, e := range elements {
		args[i].JSON = e
		if len(attachments) == 0 {
			continue
		}
		places, _ := Placeholders(e) // checked by Decode
		if len(places) == 0 {
			continue
		}
		own := &args[i].Attachments
		args[i].JSON = AppendRenumbered(nil, e, places, func(num int) int {
			*own = append(*own, attachments[num])
			return len(*own) - 1
		})
	}
	return args
}

// payload collects the elements of a packet's array.
type payload struct {
	data        []byte
	attachments [][]byte
}

// packEvent makes the packet of an event.
func packEvent(name string, args []any) (*Packet, error) {
	if reserved(name) {
		return nil, ErrReserved
	}
	b := payload{data: jsontext.AppendString([]byte{'['}, name)}
	if err := b.addAll(args); err != nil {
		return nil, err
	}
	return &Packet{Type: PacketEvent, Data: append(b.data, ']'), Attachments: b.attachments}, nil
}

// packAck makes the packet of an ack.
func packAck(id uint64, args []any) (*Packet, error) {
	b := payload{data: []byte{'['}}
	if err := b.addAll(args); err != nil {
		return nil, err
	}
	return &Packet{Type: PacketAck, ID: id, HasID: true, Data: append(b.data, ']'), Attachments: b.attachments}, nil
}

func (b *payload) addAll(args []any) error {
	for i, arg := range args {
		if err := b.add(arg); err != nil {
			return fmt.Errorf("socketio: argument %d: %w", i, err)
		}
	}
	return nil
}

// add adds what one argument of Emit stands for.
func (b *payload) add(arg any) error {
	switch arg := arg.(type) {
	case []byte:
		return b.addArg(Arg{JSON: appendPlaceholder(nil, 0), Attachments: [][]byte{arg}})
	case Arg:
		return b.addArg(arg)
	case Args:
		for _, one := range arg {
			if err := b.addArg(one); err != nil {
				return err
			}
		}
		return nil
	case json.RawMessage:
		if len(arg) > 0 {
			return b.addArg(Arg{JSON: arg})
		}
	}
	text, err := marshal(arg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrArgument, err)
	}
	return b.addArg(Arg{JSON: text})
}

// addArg adds one element, its attachments after those that are there.
func (b *payload) addArg(arg Arg) error {
	text, err := whole(arg.JSON)
	if err != nil || text == nil {
		return fmt.Errorf("%w: not JSON, or too deep", ErrArgument)
	}
	if err := checkPlaceholders(text, len(arg.Attachments)); err != nil {
		return err
	}
	before := len(b.attachments)
	if before+len(arg.Attachments) > MaxAttachments {
		return ErrTooManyAttachments
	}
	if len(b.data) > 1 {
		b.data = append(b.data, ',')
	}
	b.attachments = append(b.attachments, arg.Attachments...)
	if before == 0 || len(arg.Attachments) == 0 {
		b.data = append(b.data, text...)
		return nil
	}
	places, _ := Placeholders(text) // checked
	b.data = AppendRenumbered(b.data, text, places, func(num int) int { return before + num })
	return nil
}
