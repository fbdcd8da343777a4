package config

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/jetway-io/jetway/bridge"
)

// Effective writes the configuration as a file: every key, with the place that
// its value is from as a comment. Secrets are masked, also those in URLs; apart
// from that, the file configures the same.
func (c *Config) Effective() ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range keys {
		if k.field == nil || c.NATS.URL != "" && strings.HasPrefix(k.Path, "nats.embedded.") {
			continue // the embedded server's keys are refused beside a URL
		}
		name, value := text(leaf(k.Path)), c.node(k)
		comment := c.at(k.Path).String()
		if value.Kind == yaml.ScalarNode || value.Style == yaml.FlowStyle {
			value.LineComment = comment
		} else {
			name.HeadComment = comment
		}
		parent := sectionNode(root, k.Path)
		parent.Content = append(parent.Content, name, value)
	}
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("config: write the effective configuration: %w", err)
	}
	return buf.Bytes(), enc.Close()
}

// sectionNode finds or makes the mapping that a key belongs into.
func sectionNode(n *yaml.Node, path string) *yaml.Node {
	name, rest, more := strings.Cut(path, ".")
	if !more {
		return n
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return sectionNode(n.Content[i+1], rest)
		}
	}
	below := &yaml.Node{Kind: yaml.MappingNode}
	n.Content = append(n.Content, text(name), below)
	return sectionNode(below, rest)
}

// node is the value of a key as it is written in a file.
func (c *Config) node(k Key) *yaml.Node {
	switch f := k.field(c).(type) {
	case *string:
		switch {
		case k.Path == "nats.url", k.Path == "auth.jwt.jwks_url":
			return text(MaskURL(*f))
		case k.secret && *f != "":
			return text("***")
		}
		return text(*f)
	case *[]string:
		return flowList(*f)
	case *int:
		return bare(strconv.Itoa(*f))
	case *int64:
		if k.Kind == ByteRate {
			return bare(formatByteRate(*f))
		}
		return bare(FormatSize(*f))
	case *float64:
		return bare(formatRate(*f))
	case *time.Duration:
		if k.Kind == Sync {
			return bare(formatSync(*f))
		}
		return bare(formatDuration(*f))
	case *[]time.Duration:
		list := flowList(nil)
		for _, d := range *f {
			list.Content = append(list.Content, bare(formatDuration(d)))
		}
		return list
	case *[]Stream:
		return streamsNode(*f)
	case *[]ConnectSubscription:
		return subscriptionsNode(*f)
	case *[]bridge.MapRule:
		return mapRulesNode(*f)
	}
	return c.rolesNode()
}

func streamsNode(streams []Stream) *yaml.Node {
	list := blockList(len(streams))
	for _, s := range streams {
		list.Content = append(list.Content, pairs(
			"name", text(s.Name), "subjects", flowList(s.Subjects),
			"max_age", bare(formatDuration(s.MaxAge)), "max_bytes", bare(FormatSize(s.MaxBytes)),
			"dedupe", bare(formatDuration(s.Dedupe)), "replicas", bare(strconv.Itoa(s.Replicas))))
	}
	return list
}

func subscriptionsNode(subscriptions []ConnectSubscription) *yaml.Node {
	list := blockList(len(subscriptions))
	for _, s := range subscriptions {
		list.Content = append(list.Content, pairs("subject", text(s.Subject), "from", text(s.From)))
	}
	return list
}

func mapRulesNode(rules []bridge.MapRule) *yaml.Node {
	list := blockList(len(rules))
	for _, r := range rules {
		n := pairs("event", text(r.Event), "subject", text(r.Subject))
		if r.Key != nil {
			n.Content = append(n.Content, text("key"), bare(strconv.Itoa(*r.Key)))
		}
		list.Content = append(list.Content, n)
	}
	return list
}

// blockList is a list with an item on each line, which has a form without
// items, too.
func blockList(items int) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	if items == 0 {
		list.Style = yaml.FlowStyle
	}
	return list
}

func (c *Config) rolesNode() *yaml.Node {
	roles := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range sortedRoles(c.Roles) {
		r := c.Roles[name]
		n := pairs("pub", flowList(r.Pub), "sub", flowList(r.Sub), "work", flowList(r.Work), "req", flowList(r.Req))
		deny := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, list := range roleLists {
			if denied := *r.list("deny." + list); len(denied) > 0 {
				deny.Content = append(deny.Content, text(list), flowList(denied))
			}
		}
		if len(deny.Content) > 0 {
			n.Content = append(n.Content, text("deny"), deny)
		}
		if r.History.Limited {
			n.Content = append(n.Content, text("history"), text(r.History.String()))
		}
		key := text(name)
		if o, ok := c.origins["roles."+name]; ok {
			key.HeadComment = o.String()
		} else {
			key.HeadComment = origin{}.String()
		}
		roles.Content = append(roles.Content, key, n)
	}
	return roles
}

func pairs(namesAndValues ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(namesAndValues); i += 2 {
		n.Content = append(n.Content, text(namesAndValues[i].(string)), namesAndValues[i+1].(*yaml.Node))
	}
	return n
}

// text is a string, quoted where YAML would read something else.
func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if s == "" {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// bare is a value of the package's own making, which needs no quotes.
func bare(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

func flowList(list []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, s := range list {
		n.Content = append(n.Content, text(s))
	}
	return n
}

// MaskURL hides the passwords and tokens in a list of URLs.
func MaskURL(list string) string {
	parts := strings.Split(list, ",")
	for i, part := range parts {
		scheme, rest, ok := strings.Cut(part, "://")
		at := strings.LastIndexByte(rest, '@')
		if !ok || at < 0 {
			continue
		}
		user, _, isPassword := strings.Cut(rest[:at], ":")
		if !isPassword {
			user = "***" // a token
		} else {
			user += ":***"
		}
		parts[i] = scheme + "://" + user + rest[at:]
	}
	return strings.Join(parts, ",")
}
