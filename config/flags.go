package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// RegisterFlags adds a flag for every key, "--nats.embedded.store_dir". Their
// values are texts, checked by [Load] like those of a file.
func RegisterFlags(flags *pflag.FlagSet) {
	for _, k := range keys {
		if k.field == nil {
			continue
		}
		flags.Var(&flagValue{key: k, text: k.Default}, k.Flag(), k.Doc)
		if k.nodes() || k.Default == anonymousDefault || k.Default == "[]" {
			flags.Lookup(k.Flag()).DefValue = "" // too long for a help text, or said in its own words there
		}
	}
}

// flagValue holds the text of one flag.
type flagValue struct {
	key  Key
	text string
}

func (v *flagValue) String() string     { return v.text }
func (v *flagValue) Set(s string) error { v.text = s; return nil }

// Type is what the help shows for the value.
func (v *flagValue) Type() string {
	switch {
	case v.key.nodes():
		return "yaml"
	case v.key.Kind == Choice:
		return strings.Join(v.key.choices, "|")
	case v.key.Kind == Sync:
		return "always|duration"
	}
	return string(v.key.Kind)
}

// FlagHint is the end of a sentence that refuses an unknown flag, given
// without dashes: the one of the command's flags that was meant, or why there
// is none. It is "" when nothing is near.
func FlagHint(name string, known []string) string {
	if l, ok := laterKey(name); ok {
		return ": " + quoted(l) + " is not available in this release"
	}
	return didYouMean(strings.ReplaceAll(name, "-", "_"), known, func(s string) string { return "--" + s })
}
