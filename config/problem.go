package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// layer is where a value came from. Its order is the order of precedence, and
// that in which problems are reported.
type layer int

const (
	fromDefault layer = iota
	fromFile
	fromEnv
	fromFlag
)

// origin is the place of one value.
type origin struct {
	layer layer
	name  string // the file, the variable or the flag
	line  int    // in the file, from 1; 0 where there is none
}

// String is "jetway.yaml:12", "JETWAY_LISTEN", "--listen" or "default".
func (o origin) String() string {
	switch {
	case o.layer == fromDefault:
		return "default"
	case o.layer == fromFlag:
		return "--" + o.name
	case o.line > 0:
		return fmt.Sprintf("%s:%d", o.name, o.line)
	}
	return o.name
}

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	Where string // "jetway.yaml:12", a variable, a flag, or "default"
	Line  int    // in the file, from 1; 0 elsewhere
	Key   string // path of the key; "" when the problem has none
	Msg   string // what is wrong and what to do

	at origin
}

// Error is the problem in one line.
func (p *Problem) Error() string {
	if p.Key == "" || p.at.layer == fromFlag && p.Key == p.at.name {
		return p.Where + ": " + p.Msg
	}
	return p.Where + ": " + oneLine(p.Key) + ": " + p.Msg
}

// problems collects.
type problems struct{ list []*Problem }

// add notes a problem. An empty key means that the message names the thing.
func (ps *problems) add(at origin, key, format string, args ...any) {
	ps.list = append(ps.list, &Problem{
		Where: oneLine(at.String()), Line: at.line, Key: key, Msg: oneLine(fmt.Sprintf(format, args...)), at: at,
	})
}

// err is all problems, in the order of the layers and of the file's lines.
func (ps *problems) err() error {
	slices.SortStableFunc(ps.list, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(rank(a.at.layer), rank(b.at.layer)),
			cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.Where, b.Where))
	})
	var errs []error
	for _, p := range ps.list {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// rank puts what the file says first and the defaults last.
func rank(l layer) int {
	if l == fromDefault {
		return int(fromFlag) + 1
	}
	return int(l)
}

// oneLine escapes what would let a value forge a line of the log or move the
// cursor of the terminal that shows it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
