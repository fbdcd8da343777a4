package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jetway-io/jetway/bridge"
)

const (
	subscribeKey = "bridge.connect.subscribe"
	mapKey       = "bridge.map"

	oneSubscription = `{subject: "events.users.{user}.>", from: first}`
	oneMapping      = `{event: "order:{id}", subject: "events.orders.{id}"}`
)

var (
	subscriptionFields = []string{"subject", "from"}
	mappingFields      = []string{"event", "subject", "key"}
)

// subscriptions reads the list of what clients are subscribed to: a text is
// the subject.
func (c *Config) subscriptions(n *yaml.Node, at origin, ps *problems) []ConnectSubscription {
	return eachItem(c, n, at, subscribeKey, oneSubscription, ps, func(item *yaml.Node, path string, here origin) (ConnectSubscription, bool) {
		k, _ := keyAt(subscribeKey + "[].from")
		s := ConnectSubscription{From: k.Default}
		switch {
		case item.Kind == yaml.ScalarNode && !isNull(item):
			s.Subject = item.Value
		case item.Kind == yaml.MappingNode:
			c.textFields(item, path, here, subscriptionFields, ps, func(name, value, _ string, _ origin) {
				if name == "subject" {
					s.Subject = value
				} else {
					s.From = value
				}
			})
		default:
			ps.add(here, path, "is a subject, or a mapping: write events.news.>, or %s", oneSubscription)
			return s, false
		}
		return s, true
	})
}

// mapRules reads the rules of the mapping. What they say is for
// [bridge.NewMapping] to check.
func (c *Config) mapRules(n *yaml.Node, at origin, ps *problems) []bridge.MapRule {
	return eachItem(c, n, at, mapKey, oneMapping, ps, func(item *yaml.Node, path string, here origin) (bridge.MapRule, bool) {
		var r bridge.MapRule
		if item.Kind != yaml.MappingNode {
			ps.add(here, path, "is a mapping: write %s", oneMapping)
			return r, false
		}
		c.textFields(item, path, here, mappingFields, ps, func(name, value, full string, at origin) {
			switch name {
			case "event":
				r.Event = value
			case "subject":
				r.Subject = value
			case "key":
				k, _ := keyAt(mapKey + "[].key")
				n, err := k.number(value)
				if err != nil {
					ps.add(at, full, "%q %v", value, err)
					return
				}
				argument := int(n)
				r.Key = &argument
			}
		})
		return r, true
	})
}

// textFields calls f for each field of an item, all of which are one value, and
// notes where they are.
func (c *Config) textFields(item *yaml.Node, path string, at origin, names []string, ps *problems, f func(name, value, full string, at origin)) {
	entries(item, at, path, names, ps, func(name string, v *yaml.Node, at origin) {
		full := path + "." + name
		c.origins[full] = at
		if v.Kind != yaml.ScalarNode {
			ps.add(at, full, "is one value: write %s: …", name)
			return
		}
		f(name, v.Value, full, at)
	})
}

func (c *Config) validateBridge(ps *problems) {
	c.validateConnect(ps)
	_, err := bridge.NewMapping(c.Bridge.Map)
	joined, _ := err.(interface{ Unwrap() []error })
	if joined == nil {
		return
	}
	for _, err := range joined.Unwrap() {
		var wrong *bridge.MapError
		if errors.As(err, &wrong) {
			if path := mapPath(wrong); !c.refused(path, ps) {
				ps.add(c.at(path), path, "%s: %s", wrong.Msg, wrong.Hint)
			}
		}
	}
}

// mapPath is the key that a problem of the mapping belongs to.
func mapPath(e *bridge.MapError) string {
	path := fmt.Sprintf("%s[%d]", mapKey, e.Rule)
	if e.Field != "" {
		path += "." + e.Field
	}
	return path
}

func (c *Config) validateConnect(ps *problems) {
	list := c.Bridge.Connect.Subscribe
	if most := c.Limits.MaxSubscriptions; len(list) > most {
		ps.add(c.at(subscribeKey), subscribeKey, "has %d subscriptions, a client may have %d: remove some, or raise limits.max_subscriptions", len(list), most)
	}
	seen := map[string]bool{}
	for i, s := range list {
		item := fmt.Sprintf("%s[%d]", subscribeKey, i)
		if path := item + ".subject"; !c.refused(path, ps) {
			msg := c.badSubscription(s.Subject)
			if msg == "" && seen[s.Subject] {
				msg = "is subscribed to twice: remove one of them"
			}
			switch {
			case s.Subject == "":
				ps.add(c.at(path), path, "is missing: write a subject filter, such as events.news.>")
			case msg != "":
				ps.add(c.at(path), path, "%q: %s", s.Subject, msg)
			}
		}
		seen[s.Subject] = true
		path := item + ".from"
		if msg := c.badFrom(s); msg != "" && !c.refused(item+".subject", ps) && !c.refused(path, ps) {
			ps.add(c.at(path), path, "%s", msg)
		}
	}
}

// badSubscription says why clients cannot be subscribed to a filter when they
// connect, "" if they can.
func (c *Config) badSubscription(filter string) string {
	if msg := badPermission(filter); msg != "" {
		return msg
	}
	for _, queue := range c.Queues.Subjects {
		if bridge.Within(anyUser(filter), queue) {
			return fmt.Sprintf("is a queue (%s), its jobs go to workers: write another filter, or what becomes of jobs, such as %s", queue, bridge.JobEventsFilter(queue))
		}
	}
	return ""
}

// badFrom says why a subscription cannot start there, "" if it can.
func (c *Config) badFrom(s ConnectSubscription) string {
	if err := bridge.ValidFrom(s.From); err != nil {
		return because(err)
	}
	if s.From == "" || s.From == "new" {
		return ""
	}
	kept := c.Queues.EventSubjects()
	for _, stream := range c.Streams {
		kept = append(kept, stream.Subjects...)
	}
	if _, _, ok := overlapping([]string{anyUser(s.Subject)}, kept); !ok {
		return fmt.Sprintf("%q needs a stream that keeps %q: add one to streams, or write new", s.From, s.Subject)
	}
	return ""
}

// anyUser is the filter for all users.
func anyUser(filter string) string { return strings.ReplaceAll(filter, "{user}", "*") }

// mapWarnings are those of a mapping that has no problems.
func (c *Config) mapWarnings(warn func(key, format string, args ...any)) {
	m, err := bridge.NewMapping(c.Bridge.Map)
	if err != nil {
		return // it would not have been loaded
	}
	for _, w := range m.Warnings() {
		warn(mapPath(w), "%s; %s", w.Msg, w.Hint)
	}
}
