package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a JSON text. Tokens and key sets need 3;
// encoding/json itself accepts 10,000.
const maxDepth = 32

// errJSON is returned when a text is not one JSON object as [decodeObject]
// wants it.
var errJSON = errors.New("token: not one JSON object with unique names")

// decodeObject reads one JSON object. What encoding/json lets pass is refused:
// names that come twice, bytes that are not UTF-8, deep nesting. Numbers are
// [json.Number]; names are what they are, case included.
func decodeObject(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, errJSON
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decodeValue(d, maxDepth)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errJSON
	}
	return object, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth == 0 {
		return nil, errJSON
	}
	switch t {
	case json.Delim('{'):
		return decodeMembers(d, depth)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth-1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token() // the bracket
		return list, err
	}
	return t, nil
}

// decodeMembers reads the rest of an object.
func decodeMembers(d *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if _, twice := object[name]; !ok || twice {
			return nil, errJSON
		}
		if object[name], err = decodeValue(d, depth-1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token() // the brace
	return object, err
}
