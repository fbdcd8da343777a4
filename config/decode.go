package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/jetway-io/jetway/bridge"
)

// set parses a value, which is a string, a []string or a *yaml.Node, into the
// field of its key.
func (c *Config) set(k Key, value any, at origin, ps *problems) {
	var err error
	switch f := k.field(c).(type) {
	case *string:
		*f = value.(string)
		switch {
		case k.Kind == Address && *f != "":
			err = checkAddress(*f)
		case k.Kind == Choice:
			err = k.choose(*f)
		}
	case *[]string:
		*f = asList(value)
		return
	case *[]time.Duration:
		if *f, err = parseDurations(asList(value)); err != nil {
			value = strings.Join(asList(value), ", ")
		}
	case *int:
		var n int64
		n, err = k.number(value.(string))
		*f = int(n)
	case *int64:
		*f, err = k.number(value.(string))
	case *float64:
		*f, err = parseRate(value.(string))
	case *time.Duration:
		*f, err = k.duration(value.(string))
	case *[]Stream:
		if n := asNode(k, value, at, ps); n != nil {
			*f = c.streams(n, at, ps)
		}
	case *[]ConnectSubscription:
		if n := asNode(k, value, at, ps); n != nil {
			*f = c.subscriptions(n, at, ps)
		}
	case *[]bridge.MapRule:
		if n := asNode(k, value, at, ps); n != nil {
			*f = c.mapRules(n, at, ps)
		}
	case *map[string]Role:
		if n := asNode(k, value, at, ps); n != nil {
			c.roles(n, *f, at, ps)
		}
	}
	if err != nil {
		ps.add(at, k.Path, "%q %v", value, err)
		c.restore(k)
	}
}

// restore puts the default in place of a value that could not be used, so that
// checks that need several keys do not report a consequence of it.
func (c *Config) restore(k Key) {
	var none problems
	if !k.nodes() {
		c.set(k, k.Default, origin{}, &none)
	}
}

func (k Key) number(s string) (n int64, err error) {
	format := formatCount
	switch k.Kind {
	case Size:
		format = FormatSize
		n, err = parseSize(s)
	case ByteRate:
		format = formatByteRate
		n, err = parseByteRate(s)
	default:
		n, err = parseCount(s)
	}
	if err != nil {
		return 0, err
	}
	return n, k.bounds(n, format)
}

func (k Key) choose(s string) error {
	if slices.Contains(k.choices, s) {
		return nil
	}
	last := len(k.choices) - 1
	return fmt.Errorf("is not known: write %s or %s", strings.Join(k.choices[:last], ", "), k.choices[last])
}

func (k Key) duration(s string) (time.Duration, error) {
	if k.Kind == Sync {
		return parseSync(s)
	}
	return parseDuration(s)
}

// asList splits the text that a variable or a flag holds at its commas, which
// may stand in brackets as in a file.
func asList(value any) []string {
	list := []string{}
	switch v := value.(type) {
	case []string:
		return append(list, v...)
	case string:
		if inner, ok := strings.CutPrefix(v, "["); ok && strings.HasSuffix(inner, "]") {
			v = strings.TrimSpace(strings.TrimSuffix(inner, "]"))
		}
		if v == "" {
			return list
		}
		for part := range strings.SplitSeq(v, ",") {
			list = append(list, strings.TrimSpace(part))
		}
	}
	return list
}

// asNode parses the YAML or JSON text that a variable or a flag holds.
func asNode(k Key, value any, at origin, ps *problems) *yaml.Node {
	if n, ok := value.(*yaml.Node); ok {
		return n
	}
	var doc yaml.Node
	text, _ := value.(string)
	if len(text) > maxFileBytes {
		ps.add(at, k.Path, "is larger than 1 MiB: use a file")
		return nil
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) == 0 {
		ps.add(at, k.Path, "is not YAML or JSON text: write it on one line, as %s", example(k))
		return nil
	}
	if aliased(doc.Content[0], at, k.Path, ps) {
		return nil
	}
	return doc.Content[0]
}

// entries calls f for each key of a mapping, and reports what is no mapping,
// and keys that are repeated or not among names (nil: any).
func entries(n *yaml.Node, at origin, path string, names []string, ps *problems, f func(name string, v *yaml.Node, at origin)) {
	if n.Kind != yaml.MappingNode {
		ps.add(at, path, "is a mapping of names to values: write {name: value}")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, here := n.Content[i].Value, at.onLine(n.Content[i].Line)
		switch {
		case seen[name]:
			ps.add(here, "", "%q is set twice: remove one of them", path+"."+name)
		case names != nil && !slices.Contains(names, name):
			ps.add(here, "", "unknown key %q%s", path+"."+name, didYouMean(name, names, func(s string) string {
				return quoted(path + "." + s)
			}))
		case !isNull(n.Content[i+1]):
			f(name, n.Content[i+1], here)
		}
		seen[name] = true
	}
}

// onLine is the same origin at another line, for origins that have lines.
func (o origin) onLine(line int) origin {
	if o.layer == fromFile {
		o.line = line
	}
	return o
}

var streamFields = []string{"name", "subjects", "max_age", "max_bytes", "dedupe", "replicas"}

// streams reads the list of streams. Fields that are not given have their
// defaults; that the required ones are there is checked later, with the rest.
func (c *Config) streams(n *yaml.Node, at origin, ps *problems) []Stream {
	const one = "{name: EVENTS, subjects: [events.>]}"
	return eachItem(c, n, at, "streams", one, ps, func(item *yaml.Node, path string, here origin) (Stream, bool) {
		if item.Kind != yaml.MappingNode {
			ps.add(here, path, "is a mapping: write %s", one)
			return Stream{}, false
		}
		return c.stream(item, path, here, ps), true
	})
}

// eachItem reads the items of a list that has no scalars, and notes where they
// are. It returns none if one of them cannot be read: the places of the others
// would not be those in the file.
func eachItem[T any](c *Config, n *yaml.Node, at origin, key, one string, ps *problems, read func(item *yaml.Node, path string, here origin) (T, bool)) []T {
	if n.Kind != yaml.SequenceNode {
		ps.add(at, key, "is a list: write - %s", one)
		return nil
	}
	list, all := []T{}, true
	for i, item := range n.Content {
		path, here := fmt.Sprintf("%s[%d]", key, i), at.onLine(item.Line)
		c.origins[path] = here
		v, ok := read(item, path, here)
		list, all = append(list, v), all && ok
	}
	if !all {
		return nil
	}
	return list
}

// stream reads one stream.
func (c *Config) stream(item *yaml.Node, path string, at origin, ps *problems) Stream {
	var s Stream
	for _, f := range streamFields {
		if k, _ := keyAt("streams[]." + f); k.Default != "" {
			_ = s.set(k, k.Default) // a default can be parsed; the tests load them all
		}
	}
	entries(item, at, path, streamFields, ps, func(name string, v *yaml.Node, at origin) {
		full := path + "." + name
		c.origins[full] = at
		k, _ := keyAt("streams[]." + name)
		switch {
		case k.Kind == List:
			s.Subjects, _ = stringList(v, at, full, ps)
		case v.Kind != yaml.ScalarNode:
			ps.add(at, full, "is one value: write %s: %s", name, example(k))
		default:
			if err := s.set(k, v.Value); err != nil {
				ps.add(at, full, "%q %v", v.Value, err)
			}
		}
	})
	if !c.given(path+".dedupe") && s.MaxAge > 0 {
		s.Dedupe = min(s.Dedupe, s.MaxAge) // who shortens max_age alone means both
	}
	return s
}

// set parses one field. On an error the field keeps what it was.
func (s *Stream) set(k Key, value string) (err error) {
	var n int64
	var d time.Duration
	switch leaf(k.Path) {
	case "name":
		s.Name = value
	case "max_age":
		if d, err = parseDuration(value); err == nil {
			s.MaxAge = d
		}
	case "max_bytes":
		if n, err = k.number(value); err == nil {
			s.MaxBytes = n
		}
	case "dedupe":
		if d, err = parseDuration(value); err == nil {
			s.Dedupe = d
		}
	case "replicas":
		if n, err = k.number(value); err == nil {
			s.Replicas = int(n)
		}
	}
	return err
}

// roleLists are the lists that a role has, and what it denies, too.
var roleLists = []string{"pub", "sub", "work", "req"}

var roleFields = append(slices.Clone(roleLists), "deny", "history")

// roles adds the roles to those that are there already, replacing as a whole.
func (c *Config) roles(n *yaml.Node, into map[string]Role, at origin, ps *problems) {
	entries(n, at, "roles", nil, ps, func(name string, v *yaml.Node, at origin) {
		path := "roles." + name
		c.origins[path] = at
		var r Role
		entries(v, at, path, roleFields, ps, func(field string, v *yaml.Node, at origin) {
			full := path + "." + field
			c.origins[full] = at
			switch field {
			case "deny":
				entries(v, at, full, roleLists, ps, func(list string, v *yaml.Node, at origin) {
					c.origins[full+"."+list] = at
					*r.list("deny." + list), _ = stringList(v, at, full+"."+list, ps)
				})
			case "history":
				r.History = history(v, at, full, ps)
			default:
				*r.list(field), _ = stringList(v, at, full, ps)
			}
		})
		into[name] = r
	})
}

// list is the field of the role with that name; "deny.pub" is one that denies.
func (r *Role) list(field string) *[]string {
	lists := map[string]*[]string{
		"pub": &r.Pub, "sub": &r.Sub, "work": &r.Work, "req": &r.Req,
		"deny.pub": &r.Deny.Pub, "deny.sub": &r.Deny.Sub, "deny.work": &r.Deny.Work, "deny.req": &r.Deny.Req,
	}
	return lists[field]
}

const unlimited = "unlimited"

// history reads how far back a role reaches.
func history(v *yaml.Node, at origin, path string, ps *problems) (h History) {
	text := v.Value
	if text == unlimited && v.Kind == yaml.ScalarNode {
		return h
	}
	h.Limited = true
	var err error
	if number, ok := strings.CutSuffix(text, " events"); ok {
		h.Events, err = parseCount(strings.TrimSpace(number))
	} else {
		h.Age, err = parseDuration(text)
	}
	if err != nil || v.Kind != yaml.ScalarNode || h.Events < 0 {
		ps.add(at, path, "%q is no depth of history: write a duration, such as 24h, a number of events, such as 1000 events, or unlimited", text)
		return History{}
	}
	return h
}

// String is the history as it is written in a file.
func (h History) String() string {
	switch {
	case !h.Limited:
		return unlimited
	case h.Events > 0:
		return formatCount(h.Events) + " events"
	}
	return formatDuration(h.Age)
}
