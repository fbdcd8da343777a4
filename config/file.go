package config

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds a configuration file: more than that is another file.
const maxFileBytes = 1 << 20

var errNoMarshal = errors.New("config: the file parser does not write")

// fileParser is a [koanf.Parser] that knows the keys. It refuses unknown and
// repeated ones, notes the line of each, and hands on only what is known:
// scalars as their text, lists as []string, what is made of mappings as
// *yaml.Node.
type fileParser struct {
	name     string
	origins  map[string]origin
	problems *problems
}

// Marshal is not supported; it completes koanf.Parser.
func (p *fileParser) Marshal(map[string]any) ([]byte, error) { return nil, errNoMarshal }

// Unmarshal never fails: what is wrong is added to the problems, and the rest
// is still looked at.
func (p *fileParser) Unmarshal(text []byte) (map[string]any, error) {
	if len(text) > maxFileBytes {
		p.problems.add(p.at(0), "", "the file is larger than 1 MiB: is this the right file?")
		return nil, nil
	}
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if len(strings.TrimSpace(string(text))) > 0 && err.Error() != "EOF" {
			p.syntax(err)
		}
		return nil, nil
	}
	if err := dec.Decode(&second); err == nil {
		p.problems.add(p.at(second.Line), "", "a second document starts here: remove it, only one is read")
	} else if err.Error() != "EOF" {
		p.syntax(err)
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		p.problems.add(p.at(root.Line), "", `the file is not made of keys: write "key: value" lines`)
		return nil, nil
	}
	return p.mapping(root, ""), nil
}

func (p *fileParser) at(line int) origin { return origin{layer: fromFile, name: p.name, line: line} }

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (p *fileParser) syntax(err error) {
	line, msg := 0, err.Error()
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1]) // no line: 0
		msg = strings.TrimPrefix(msg, m[0])
	}
	p.problems.add(p.at(line), "", "not valid YAML (%s): correct this line or the one before it; texts that begin with * or > need quotes", msg)
}

// mapping walks the keys below a path, "" for the file.
func (p *fileParser) mapping(n *yaml.Node, path string) map[string]any {
	out, seen := map[string]any{}, map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := p.at(name.Line)
		full := name.Value
		if path != "" {
			full = path + "." + name.Value
		}
		if first, ok := seen[name.Value]; ok {
			p.problems.add(at, "", "%q is already set in line %d: remove one of them", full, first)
			continue
		}
		seen[name.Value] = name.Line
		if !p.known(full, name, at) || aliased(value, at, full, p.problems) || isNull(value) {
			continue
		}
		if v := p.value(full, value, at); v != nil {
			out[name.Value] = v
		}
	}
	return out
}

// known reports whether the path is a key or a section, else adds a problem.
func (p *fileParser) known(full string, name *yaml.Node, at origin) bool {
	_, isKey := keyAt(full)
	switch dotted := strings.Contains(name.Value, "."); {
	case name.Kind != yaml.ScalarNode:
		p.problems.add(at, "", "a key must be a name: write \"key: value\"")
	case dotted && (isKey || section(full)):
		p.problems.add(at, "", "%q must be written on levels, as %s", full, nested(full, "…"))
	case !dotted && (isKey || section(full)):
		return true
	default:
		p.problems.add(at, "", "%s", unknown(full, pathNames(), quoted))
	}
	return false
}

// value checks the form of a node, and notes where it is.
func (p *fileParser) value(full string, n *yaml.Node, at origin) any {
	k, isKey := keyAt(full)
	if !isKey {
		if n.Kind != yaml.MappingNode {
			p.problems.add(at, full, "has keys of its own: write %s", nested(full, "{…}"))
			return nil
		}
		return p.mapping(n, full)
	}
	p.origins[full] = at
	if k.nodes() {
		return n
	}
	switch k.Kind {
	case List, Durations:
		if list, ok := stringList(n, at, full, p.problems); ok {
			return list
		}
	default:
		if n.Kind == yaml.ScalarNode {
			return n.Value
		}
		p.problems.add(at, full, "is one value, not a list or a mapping: write %s: %s", leaf(full), example(k))
	}
	return nil
}

// unknown is the sentence for a name that is no key. candidates are what it
// may have meant, and format shows one of them.
func unknown(name string, candidates []string, format func(string) string) string {
	if l, ok := laterKey(name); ok {
		return strconv.Quote(l) + " is not available in this release: remove it"
	}
	if hint := didYouMean(name, candidates, format); hint != "" {
		return "unknown key " + strconv.Quote(name) + hint
	}
	return "unknown key " + strconv.Quote(name) + ": remove it"
}

func quoted(s string) string { return strconv.Quote(s) }

// pathNames are all keys and sections that a file may have on its levels.
func pathNames() []string {
	var names []string
	seen := map[string]bool{}
	for _, k := range keys {
		if strings.ContainsAny(k.Path, "[<") {
			continue
		}
		for i, r := range k.Path + "." {
			if r == '.' && !seen[k.Path[:i]] {
				seen[k.Path[:i]] = true
				names = append(names, k.Path[:i])
			}
		}
	}
	return names
}

// nested shows a path on levels, with what stands for its value:
// "nats: {embedded: {store_dir: …}}".
func nested(path, value string) string {
	parts := strings.Split(path, ".")
	return strings.Join(parts, ": {") + ": " + value + strings.Repeat("}", len(parts)-1)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// aliased refuses anchors' users in a value. They could make a small file
// expand without bound, and a configuration does not need them.
func aliased(n *yaml.Node, at origin, key string, ps *problems) bool {
	if n.Kind == yaml.AliasNode {
		ps.add(at, key, "YAML aliases (*%s) are not read: write the value itself", n.Value)
		return true
	}
	for _, c := range n.Content {
		if aliased(c, at, key, ps) {
			return true
		}
	}
	return false
}

// exampleList is a list that the key could have.
func exampleList(key string) string {
	if k, ok := keyAt(key); ok && len(k.Default) > len("[]") {
		return k.Default
	}
	return "[a, b]"
}

// stringList reads a sequence of scalars.
func stringList(n *yaml.Node, at origin, key string, ps *problems) ([]string, bool) {
	list := []string{}
	if n.Kind != yaml.SequenceNode {
		ps.add(at, key, "is a list: write %s: %s", leaf(key), exampleList(key))
		return nil, false
	}
	for _, c := range n.Content {
		if c.Kind != yaml.ScalarNode || isNull(c) {
			ps.add(at, key, "is a list of texts: write %s: %s", leaf(key), exampleList(key))
			return nil, false
		}
		list = append(list, c.Value)
	}
	return list, true
}
