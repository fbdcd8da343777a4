package config

import (
	"fmt"
	"os"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Source is what a configuration is made from. The zero value is the defaults.
type Source struct {
	File  string         // path of the file; "": none
	Text  []byte         // contents of File; nil: they are read
	Env   []string       // "NAME=value", as [os.Environ]; only JETWAY_… is looked at
	Flags *pflag.FlagSet // those of [RegisterFlags], parsed; nil: none
}

// Load reads and validates. Its error is [errors.Join] of one [Problem] for
// each thing that is wrong, sorted by line. Nothing is created, except for a
// moment a file in the store directory, to see that it can be written to.
func Load(src Source) (*Config, error) {
	c, ps := parse(src)
	c.probe(ps)
	if err := ps.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// parse does all that needs no more than the source.
func parse(src Source) (*Config, *problems) {
	ps := &problems{}
	c := &Config{file: src.File, origins: map[string]origin{}, Roles: map[string]Role{}}
	k := koanf.New(".")
	for _, load := range []func(*koanf.Koanf, Source, *problems) error{c.loadFile, c.loadEnv, c.loadFlags} {
		if err := load(k, src, ps); err != nil {
			ps.add(origin{layer: fromFile, name: src.File}, "", "%v", err)
		}
	}
	c.decode(k, ps)
	c.fitQueues()
	c.validate(ps)
	return c, ps
}

func (c *Config) loadFile(k *koanf.Koanf, src Source, ps *problems) error {
	if src.File == "" && src.Text == nil {
		return nil
	}
	text := src.Text
	if text == nil {
		var err error
		if text, err = os.ReadFile(src.File); err != nil {
			ps.add(origin{layer: fromFile, name: src.File}, "", "cannot be read (%v): name a file that can be", unwrapPath(err))
			return nil
		}
	}
	return k.Load(rawbytes.Provider(text), &fileParser{name: src.File, origins: c.origins, problems: ps})
}

func (c *Config) loadEnv(k *koanf.Koanf, src Source, ps *problems) error {
	return k.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return src.Env },
		TransformFunc: func(name, value string) (string, any) {
			at := origin{layer: fromEnv, name: name}
			key, ok, stray := envKey(name, value, at, ps)
			if stray {
				c.stray = append(c.stray, name)
			}
			if !ok {
				return "", nil
			}
			c.origins[key.Path] = at
			return key.Path, value
		},
	}), nil)
}

func (c *Config) loadFlags(k *koanf.Koanf, src Source, _ *problems) error {
	if src.Flags == nil {
		return nil
	}
	return k.Load(posflag.ProviderWithFlag(src.Flags, ".", nil, func(f *pflag.Flag) (string, any) {
		key, ok := keyAt(f.Name)
		if !ok || !f.Changed { // a flag of the command's own, or not given
			return "", nil
		}
		c.origins[key.Path] = origin{layer: fromFlag, name: f.Name}
		return key.Path, f.Value.String()
	}), nil)
}

// decode sets each field from the layers, or else to its default.
func (c *Config) decode(k *koanf.Koanf, ps *problems) {
	for _, key := range keys {
		if key.field == nil {
			continue
		}
		if key.Kind == Roles || !k.Exists(key.Path) {
			c.set(key, c.defaultOf(key), origin{}, ps)
		}
		if k.Exists(key.Path) {
			c.set(key, k.Get(key.Path), c.origins[key.Path], ps)
		}
	}
}

// defaultOf is the default of a key. That of auth.anonymous depends on
// listen and auth.jwt, which come earlier in the table: what is right for a
// laptop must not be what a public address, or one behind a proxy, starts with.
func (c *Config) defaultOf(k Key) string {
	if k.Path == "auth.anonymous" && (!loopback(c.Listen) || c.Auth.Takes()) {
		return ""
	}
	return k.Default
}

// at is the origin of the nearest key at or above the path.
func (c *Config) at(path string) origin {
	for {
		if o, ok := c.origins[path]; ok {
			return o
		}
		cut := lastBreak(path)
		if cut < 0 {
			return origin{}
		}
		path = path[:cut]
	}
}

func lastBreak(path string) int {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return i
		}
	}
	return -1
}

// given reports whether some layer set the key, or one below it.
func (c *Config) given(path string) bool {
	_, ok := c.origins[path]
	return ok
}

func unwrapPath(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return fmt.Errorf("%w", pe.Err)
	}
	return err
}
