package report

import (
	"math"
	"slices"
	"strings"
)

// Ratio is what a figure of one program is to the same one of another, each
// time in the same run.
type Ratio struct {
	Table, Figure string
	Of, To        string // keys of programs
	Spread
}

// Spread is the least, the median and the most of several values.
type Spread struct{ Least, Median, Most float64 }

// spreadOf is false of no values.
func spreadOf(values []float64) (Spread, bool) {
	if len(values) == 0 {
		return Spread{}, false
	}
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return Spread{values[0], (values[(n-1)/2] + values[n/2]) / 2, values[n-1]}, true
}

func plain(samples []Sample) []float64 {
	var list []float64
	for _, s := range samples {
		list = append(list, s.Value)
	}
	return list
}

// ours reports whether a program is a Jetway.
func ours(key string) bool { return strings.HasPrefix(key, "jetway") }

// ratios compares every Jetway with every other program of its table.
func (r *Result) ratios() []Ratio {
	var list []Ratio
	for _, t := range r.Tables {
		for _, f := range t.Figures {
			if f.Alone {
				continue
			}
			for _, of := range r.Programs {
				for _, to := range r.Programs {
					if !ours(of.Key) || of.Key == to.Key {
						continue
					}
					if s, ok := spreadOf(between(f.Values[of.Key], f.Values[to.Key])); ok {
						list = append(list, Ratio{t.Key, f.Name, of.Key, to.Key, s})
					}
				}
			}
		}
	}
	return list
}

// between divides what was measured in the same run.
func between(of, to []Sample) []float64 {
	var list []float64
	for _, a := range of {
		for _, b := range to {
			if q := a.Value / b.Value; a.Run == b.Run && !math.IsInf(q, 0) && !math.IsNaN(q) {
				list = append(list, q)
			}
		}
	}
	return list
}

// Ratio returns one of them; false: it was not measured.
func (r *Result) Ratio(table, figure, of, to string) (Spread, bool) {
	for _, q := range r.Ratios {
		if q.Table == table && q.Figure == figure && q.Of == of && q.To == to {
			return q.Spread, true
		}
	}
	return Spread{}, false
}
