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
  the most; every ratio is one of two figures of the same run, Jetway's to that of the row. On a shared machine the ratios mean something, the figures do not.
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
	return w.Bytes()
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
	fmt.Fprint(w, "## Goals\n\nWhere a goal has a ratio it decides, and the figure is for orientation.\n\n| what | figure | goal | here | to | goal | here | |\n|---|---|---|---|---|---|---|---|\n")
	for _, v := range r.Goals {
		value, to, ratio := "–", "–", "–"
		if v.Value > 0 || v.Ratio == 0 {
			value = v.bound(v.Value)
		}
		if v.Ratio > 0 {
			to, ratio = r.name(v.To), v.bound(v.Ratio)
		}
		verdict := "**missed**"
		if v.Met {
			verdict = "met"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", v.What, v.Figure, value, v.Here, to, ratio, v.HereRatio, verdict)
	}
	fmt.Fprintln(w)
}

// String writes the median, and the spread if there is one.
func (s *Spread) String() string {
	switch {
	case s == nil:
		return "–"
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
	head, line := "| |", "|---|"
	for _, f := range t.Figures {
		head, line = head+" "+f.Name+" | Jetway's is |", line+"---|---|"
	}
	fmt.Fprintf(w, "%s\n%s\n", head, line)
	for _, p := range r.Programs {
		if row := r.row(t, p.Key); row != "" {
			fmt.Fprintf(w, "| %s |%s\n", p.Name, row)
		}
	}
	fmt.Fprintln(w)
	for _, f := range r.Failures {
		if f.Table == t.Key {
			fmt.Fprintf(w, "%s, run %d: %s\n\n", r.name(f.Program), f.Run+1, strings.ReplaceAll(f.What, "\n", " "))
		}
	}
}

// row is a program's line of a table without its name; "" if it has none.
func (r *Result) row(t *Table, program string) string {
	row, any := "", false
	for _, f := range t.Figures {
		value, ratio := "–", "–"
		if s, ok := spreadOf(plain(f.Values[program])); ok {
			value, any = s.String(), true
		}
		if s, ok := spreadOf(between(f.Values["jetway"], f.Values[program])); ok && program != "jetway" {
			ratio = "× " + s.String()
		}
		row += " " + value + " | " + ratio + " |"
	}
	if !any {
		return ""
	}
	return row
}
