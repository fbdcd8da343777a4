// Package report keeps what a run has measured, compares it, and writes it as
// JSON, Markdown and SVG.
package report

import (
	"encoding/json"
	"os"
	"slices"
	"time"
)

// Result is all that one run has found out.
type Result struct {
	Began    time.Time
	Took     string
	Command  string
	Machine  Machine
	Quick    bool // windows so short that figures are for orientation only
	Runs     int
	Programs []Program // in the order of reports
	Tables   []*Table  // in the order in which they were begun
	Skipped  []Skip    // programs that were not measured
	Failures []Failure // measurements that failed

	// What follows is made by Finish.
	Ratios []Ratio
	Goals  []Verdict
}

// Program is one that takes part.
type Program struct{ Key, Name, About string }

// Skip is one that does not, and why.
type Skip struct{ Key, Name, Why string }

// Failure is one measurement that could not be made: of a table, or of a
// scenario with all of its tables.
type Failure struct {
	Table, Program string
	Run            int
	What           string
}

// Table is what one scenario has measured.
type Table struct {
	Key     string // in results
	Title   string
	About   string // how it is measured
	Figures []*Figure
}

// Figure is one of a table.
type Figure struct {
	Name   string
	More   bool                // the more the better
	Plot   bool                // it is drawn
	Alone  bool                // it is no ratio's part: it may be zero or less
	Values map[string][]Sample // by key of program
}

// Sample is a figure of one run.
type Sample struct {
	Run   int
	Value float64
}

// Table returns the table of that key, or begins it.
func (r *Result) Table(key, title, about string) *Table {
	if t := r.find(key); t != nil {
		return t
	}
	t := &Table{Key: key, Title: title, About: about}
	r.Tables = append(r.Tables, t)
	return t
}

func (r *Result) find(key string) *Table {
	i := slices.IndexFunc(r.Tables, func(t *Table) bool { return t.Key == key })
	if i < 0 {
		return nil
	}
	return r.Tables[i]
}

// Add notes the value of a figure of one program in one run.
func (t *Table) Add(figure Figure, program string, run int, value float64) {
	f := t.figure(figure.Name)
	if f == nil {
		figure.Values = map[string][]Sample{}
		f = &figure
		t.Figures = append(t.Figures, f)
	}
	f.Values[program] = append(f.Values[program], Sample{run, value})
}

func (t *Table) figure(name string) *Figure {
	i := slices.IndexFunc(t.Figures, func(f *Figure) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return t.Figures[i]
}

// values are those of one program.
func (r *Result) values(table, figure, program string) []Sample {
	if t := r.find(table); t != nil {
		if f := t.figure(figure); f != nil {
			return f.Values[program]
		}
	}
	return nil
}

// Finish compares everything.
func (r *Result) Finish() {
	r.Took = time.Since(r.Began).Round(time.Second).String()
	r.Machine.LoadAfter = load()
	r.Ratios, r.Goals = r.ratios(), r.judge()
}

// Write keeps the result as JSON.
func (r *Result) Write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// Read returns what Write has kept.
func Read(file string) (*Result, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(Result)
	return r, json.Unmarshal(text, r)
}
