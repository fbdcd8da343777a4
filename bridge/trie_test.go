package bridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

type leaf struct {
	filter string
	at     int
}

func (l *leaf) triePlace() *int { return &l.at }

// TestTrieAgreesWithMatches puts random filters in and takes them out again,
// and compares each answer with the definition.
func TestTrieAgreesWithMatches(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	words := []string{"a", "b", "c", "*"}
	random := func(words []string, tail bool) string {
		s := words[rnd.IntN(len(words))]
		for range rnd.IntN(4) {
			s += "." + words[rnd.IntN(len(words))]
		}
		if tail && rnd.IntN(4) == 0 {
			s += ".>"
		}
		return s
	}
	var tr trie[*leaf]
	var all []*leaf
	for range 5000 {
		if len(all) > 0 && rnd.IntN(2) == 0 {
			i := rnd.IntN(len(all))
			tr.remove(all[i].filter, all[i])
			all = slices.Delete(all, i, i+1)
		} else {
			l := &leaf{filter: random(words, true)}
			tr.insert(l.filter, l)
			all = append(all, l)
		}
		subject := random(words[:3], false)
		var got, want []string
		for _, list := range tr.match(subject, nil) {
			for _, l := range list {
				got = append(got, fmt.Sprintf("%s %p", l.filter, l))
			}
		}
		for _, l := range all {
			if Matches(l.filter, subject) {
				want = append(want, fmt.Sprintf("%s %p", l.filter, l))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%s: got %v, want %v", subject, got, want)
		}
		if tr.size != len(all) {
			t.Fatalf("size %d, want %d", tr.size, len(all))
		}
	}
	for _, l := range all {
		tr.remove(l.filter, l)
	}
	if !tr.root.empty() {
		t.Error("nodes are left over")
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	var tr trie[*leaf]
	for i := range 1000 {
		l := &leaf{filter: fmt.Sprintf("events.%d.*", i%10)}
		tr.insert(l.filter, l)
	}
	lists := make([][]*leaf, 0, 8)
	if n := testing.AllocsPerRun(100, func() { lists = tr.match("events.3.x", lists[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch10000Filters(b *testing.B) {
	var tr trie[*leaf]
	for i := range 10_000 {
		l := &leaf{filter: fmt.Sprintf("events.%d.>", i)}
		tr.insert(l.filter, l)
	}
	lists := make([][]*leaf, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		lists = tr.match("events.4711.chat", lists[:0])
	}
}
