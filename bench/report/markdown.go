package report

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// intro is how everything is measured.
const intro = `What Jetway costs, next to servers that keep events in memory or store them elsewhere, and next to programs that do nothing but what cannot be
left out ("limit"). Written by the program in this directory; do not edit.

* **Interleaved.** In each of the runs of a scenario the programs take turns, and another one comes first. Every figure is the median of the runs, with the least and
  the most; every ratio is one of two figures of the same run, that of the first line's to that of the line's. On a shared machine the ratios mean something, the figures do not.
* **Server CPU** is user and system time of the server's processes, a database's included. Servers are processes of their own, the load generator is another, all on
  the same cores.
* **The same client** for all: one small reader of WebSocket frames that looks for nothing but an event's number and time. Each client got each event once and in order, or the
  measurement has failed.
* **Full speed.** A publisher outruns any fan-out; it is held back when the slowest client lacks a fixed number of events. Deliveries are counted in a window, and in the end all have arrived.
`

// Markdown writes the result; plots is where the drawings are, relative to it;
// "": there are none.
func (r *Result) Markdown(plots string) []byte {
	w := new(bytes.Buffer)
	fmt.Fprintf(w, "# %s\n\n%s\n", "Side by side", intro)
	if r.Quick {
		fmt.Fprint(w, "**A quick run**: the windows are too short for figures to be quoted.\n\n")
	}
	r.writeMachine(w)
	r.writeGoals(w)
	r.writePrograms(w)
	for _, t := range r.Tables {
		r.writeTable(w, t, plots)
	}
	r.writeFailures(w)
	return append(bytes.TrimRight(w.Bytes(), "\n"), '\n')
}

func (r *Result) writeMachine(w *bytes.Buffer) {
	m := r.Machine
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(m.Versions)) {
		if m.Versions[name] != "" {
			versions = append(versions, name+" "+m.Versions[name])
		}
	}
	fmt.Fprintf(w, "%s, %d cores (shared), %s, Linux %s, load average %s before and %s after. %s.\n\n", m.CPU, m.Cores, m.OS, m.Kernel, m.LoadBefore, m.LoadAfter, strings.Join(versions, ", "))
	fmt.Fprintf(w, "`%s` on %s, in %s.\n\n", r.Command, r.Began.Format("2006-01-02"), r.Took)
}

func (r *Result) writeGoals(w *bytes.Buffer) {
	if len(r.Goals) == 0 {
		return
	}
	fmt.Fprint(w, "## Goals\n\n"+goalsIntro+"\n| what | figure | goal | here | | to | goal | here | |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, v := range r.Goals {
		value, met, to, ratio, metRatio := "", "", "", "", ""
		if v.hasValue() {
			value, met = v.bound(v.Value), verdict(v.Met)
		}
		if v.HereRatio != nil {
			to, ratio, metRatio = r.name(v.To), v.bound(v.Ratio), verdict(v.MetRatio)
			if v.Derived {
				ratio += " *"
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", v.What, v.Figure, value, v.Here, met, to, ratio, v.HereRatio, metRatio)
	}
	fmt.Fprintln(w)
}

const goalsIntro = `A figure depends on the machine and on what else it does, a ratio in one run much less. Ratios with a star are not goals of their own: they are the figure that is the
goal, divided by what the peer had on a like machine when it was set. Peers have better settings here than they had then.
`

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}

// String writes the median, and the spread if there is one.
func (s *Spread) String() string {
	switch {
	case s == nil:
		return ""
	case s.Least == s.Most:
		return digits(s.Median)
	}
	return fmt.Sprintf("%s (%s – %s)", digits(s.Median), digits(s.Least), digits(s.Most))
}

func (r *Result) name(key string) string {
	for _, p := range r.Programs {
		if p.Key == key {
			return p.Name
		}
	}
	return key
}

func (r *Result) writePrograms(w *bytes.Buffer) {
	fmt.Fprint(w, "## Programs\n\n| | `-peers` | |\n|---|---|---|\n")
	for _, p := range r.Programs {
		fmt.Fprintf(w, "| %s | `%s` | %s |\n", p.Name, p.Key, p.About)
	}
	fmt.Fprintln(w)
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "%s was not measured: %s.\n\n", s.Name, s.Why)
	}
}

func (r *Result) writeTable(w *bytes.Buffer, t *Table, plots string) {
	fmt.Fprintf(w, "## %s\n\n%s\n\n", t.Title, t.About)
	if plots != "" && t.plotted() {
		fmt.Fprintf(w, "![%s](%s/%s.svg)\n\n", t.Title, plots, t.Key)
	}
	base := r.base(t)
	head, line := "| |", "|---|"
	for _, f := range t.Figures {
		head, line = head+" "+f.Name+" |", line+"---|"
		if !f.Alone {
			head, line = head+" "+r.name(base)+" is |", line+"---|"
		}
	}
	fmt.Fprintf(w, "%s\n%s\n", head, line)
	for _, p := range r.Programs {
		if row := r.row(t, p.Key, base); row != "" {
			fmt.Fprintf(w, "| %s |%s\n", p.Name, row)
		}
	}
	fmt.Fprintln(w)
}

func (r *Result) writeFailures(w *bytes.Buffer) {
	if len(r.Failures) == 0 {
		return
	}
	fmt.Fprint(w, "## What could not be measured\n\n")
	for _, f := range r.Failures {
		fmt.Fprintf(w, "* %s, %s, run %d: %s\n", f.Table, r.name(f.Program), f.Run+1, strings.ReplaceAll(f.What, "\n", " "))
	}
}

// base is the program that the others of a table are compared with: the first
// Jetway in it.
func (r *Result) base(t *Table) string {
	for _, p := range r.Programs {
		if ours(p.Key) && slices.ContainsFunc(t.Figures, func(f *Figure) bool { return len(f.Values[p.Key]) > 0 }) {
			return p.Key
		}
	}
	return "jetway"
}

// row is a program's line of a table without its name; "" if it has none.
func (r *Result) row(t *Table, program, base string) string {
	row, any := "", false
	for _, f := range t.Figures {
		value, ratio := "–", "–"
		if s, ok := spreadOf(plain(f.Values[program])); ok {
			value, any = s.String(), true
		}
		if s, ok := spreadOf(between(f.Values[base], f.Values[program])); ok && program != base {
			ratio = "× " + s.String()
		}
		row += " " + value + " |"
		if !f.Alone {
			row += " " + ratio + " |"
		}
	}
	if !any {
		return ""
	}
	return row
}
