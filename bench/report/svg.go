package report

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"path/filepath"
)

// Sizes of a drawing, in pixels.
const (
	plotWidth  = 760
	labelWidth = 230
	valueWidth = 90
	barHeight  = 16
	barGap     = 8
	plotTop    = 34
)

// Colours: ours, the peers', and the limits'.
const (
	colourOurs  = "#1f6feb"
	colourPeer  = "#8c959f"
	colourLimit = "#c9d1d9"
)

func (t *Table) plotted() bool {
	for _, f := range t.Figures {
		if f.Plot {
			return true
		}
	}
	return false
}

// Plots draws every table that has something to draw into a directory.
func (r *Result) Plots(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, t := range r.Tables {
		if !t.plotted() {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, t.Key+".svg"), r.plot(t), 0o644); err != nil {
			return err
		}
	}
	return nil
}

type bar struct {
	name, colour string
	Spread
}

// plot draws the figures one below the other: a bar for each program, as long
// as the median, and a whisker from the least to the most.
func (r *Result) plot(t *Table) []byte {
	body, y := new(bytes.Buffer), 0
	for _, f := range t.Figures {
		if f.Plot {
			y = r.plotFigure(body, t, f, y)
		}
	}
	w := new(bytes.Buffer)
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="system-ui, sans-serif" font-size="12">`+"\n", plotWidth, y+4)
	fmt.Fprintf(w, `<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n%s</svg>\n", body)
	return w.Bytes()
}

func (r *Result) bars(f *Figure) (bars []bar, most float64) {
	for _, p := range r.Programs {
		if s, ok := spreadOf(plain(f.Values[p.Key])); ok {
			bars = append(bars, bar{p.Name, colourOf(p.Key), s})
			most = max(most, s.Most)
		}
	}
	return bars, most
}

func colourOf(key string) string {
	switch {
	case ours(key):
		return colourOurs
	case key == "write" || key == "coalesce" || key == "bare" || key == "bare-always":
		return colourLimit
	}
	return colourPeer
}

func (r *Result) plotFigure(w *bytes.Buffer, t *Table, f *Figure, y int) int {
	better := "less is better"
	if f.More {
		better = "more is better"
	}
	fmt.Fprintf(w, `<text x="8" y="%d" font-weight="600" fill="#1f2328">%s: %s</text>`+"\n", y+20, html.EscapeString(t.Title), html.EscapeString(f.Name))
	fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="end" fill="#59636e">%s</text>`+"\n", plotWidth-8, y+20, better)
	bars, most := r.bars(f)
	if most == 0 {
		most = 1
	}
	scale := float64(plotWidth-labelWidth-valueWidth) / most
	y += plotTop
	for _, b := range bars {
		middle := float64(y) + barHeight/2
		fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="end" fill="#1f2328">%s</text>`+"\n", labelWidth-8, y+barHeight-4, html.EscapeString(b.name))
		fmt.Fprintf(w, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n", labelWidth, y, b.Median*scale, barHeight, b.colour)
		if b.Least < b.Most {
			from, to := labelWidth+b.Least*scale, labelWidth+b.Most*scale
			fmt.Fprintf(w, `<path d="M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8" stroke="#1f2328" fill="none"/>`+"\n", from, middle, to, from, middle-4, to, middle-4)
		}
		fmt.Fprintf(w, `<text x="%.1f" y="%d" fill="#1f2328">%s</text>`+"\n", labelWidth+b.Most*scale+8, y+barHeight-4, digits(b.Median))
		y += barHeight + barGap
	}
	return y + barGap
}
