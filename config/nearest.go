package config

import "strings"

// nearest returns the candidate that is the least edits away from the name,
// "" when none is near enough to be what was meant. A name on the wrong level
// is near: "max_clients" for "limits.max_clients".
func nearest(name string, candidates []string) string {
	best, least := "", max(2, len(name)/2)+1
	for _, c := range candidates {
		cost := min(distance(name, c), distance(leaf(name), leaf(c))+1)
		if strings.HasSuffix(c, "_"+name) || strings.HasSuffix(c, "."+name) {
			cost = 1
		}
		if cost < least {
			best, least = c, cost
		}
	}
	return best
}

func leaf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// distance is the number of bytes to insert, delete, replace or swap with
// their neighbour to make b of a (optimal string alignment). Long input is cut:
// it is no misspelt key, and the cost is quadratic.
func distance(a, b string) int {
	a, b = strings.ToLower(a[:min(len(a), 64)]), strings.ToLower(b[:min(len(b), 64)])
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			swap := 1
			if a[i-1] == b[j-1] {
				swap = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+swap)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// didYouMean is the end of a sentence that refused the name.
func didYouMean(name string, candidates []string, format func(string) string) string {
	if n := nearest(name, candidates); n != "" {
		return ": did you mean " + format(n) + "?"
	}
	return ""
}
