package bridge

import "strings"

// placed is what a trie can hold: it lends the trie an int to remember the
// value's place in its node, so that removing one of 100,000 subscriptions to
// the same subject does not search for it.
type placed interface {
	comparable
	triePlace() *int
}

// trie finds the filters that match a subject. Matching costs by the tokens of
// the subject, not by the number of filters. The zero value is ready. Not safe
// for concurrent use.
type trie[T placed] struct {
	root trieNode[T]
	size int
}

type trieNode[T placed] struct {
	children map[string]*trieNode[T] // by literal token
	any      *trieNode[T]            // under "*"
	here     []T                     // filters that end at this node
	rest     []T                     // filters that end in ">" below this node
}

// insert adds a value under a valid filter.
func (t *trie[T]) insert(filter string, v T) {
	n := &t.root
	for rest, more := filter, true; more; {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		if token == ">" {
			place(&n.rest, v)
			t.size++
			return
		}
		n = n.child(token)
	}
	place(&n.here, v)
	t.size++
}

func (n *trieNode[T]) child(token string) *trieNode[T] {
	if token == "*" {
		if n.any == nil {
			n.any = &trieNode[T]{}
		}
		return n.any
	}
	c := n.children[token]
	if c == nil {
		if n.children == nil {
			n.children = make(map[string]*trieNode[T])
		}
		c = &trieNode[T]{}
		n.children[strings.Clone(token)] = c
	}
	return c
}

func place[T placed](list *[]T, v T) {
	*v.triePlace() = len(*list)
	*list = append(*list, v)
}

func unplace[T placed](list *[]T, v T) {
	at, last := *v.triePlace(), len(*list)-1
	moved := (*list)[last]
	(*list)[at] = moved
	*moved.triePlace() = at
	var zero T
	(*list)[last] = zero
	*list = (*list)[:last]
	if last == 0 {
		*list = nil
	}
}

// remove takes out a value that insert put in under the same filter.
func (t *trie[T]) remove(filter string, v T) {
	t.root.remove(filter, true, v)
	t.size--
}

// remove reports whether the node is empty afterwards, so that its parent can
// drop it: subjects come and go, and the trie must not keep them all.
func (n *trieNode[T]) remove(rest string, more bool, v T) (empty bool) {
	if !more {
		unplace(&n.here, v)
		return n.empty()
	}
	token, rest, more := strings.Cut(rest, ".")
	switch token {
	case ">":
		unplace(&n.rest, v)
	case "*":
		if n.any.remove(rest, more, v) {
			n.any = nil
		}
	default:
		if n.children[token].remove(rest, more, v) {
			delete(n.children, token)
		}
	}
	return n.empty()
}

func (n *trieNode[T]) empty() bool {
	return len(n.here) == 0 && len(n.rest) == 0 && n.any == nil && len(n.children) == 0
}

// match appends to dst the lists of the values whose filters match the
// subject. Lists, not values: nothing is copied per subscriber. They are good
// until the next insert or remove.
func (t *trie[T]) match(subject string, dst [][]T) [][]T {
	return t.root.match(subject, true, dst)
}

func (n *trieNode[T]) match(rest string, more bool, dst [][]T) [][]T {
	if !more {
		if len(n.here) > 0 {
			dst = append(dst, n.here)
		}
		return dst
	}
	if len(n.rest) > 0 {
		dst = append(dst, n.rest)
	}
	token, rest, more := strings.Cut(rest, ".")
	if c := n.children[token]; c != nil {
		dst = c.match(rest, more, dst)
	}
	if n.any != nil {
		dst = n.any.match(rest, more, dst)
	}
	return dst
}

// each calls fn for every value. fn must not change the trie.
func (t *trie[T]) each(fn func(T)) { t.root.each(fn) }

func (n *trieNode[T]) each(fn func(T)) {
	for _, v := range n.here {
		fn(v)
	}
	for _, v := range n.rest {
		fn(v)
	}
	if n.any != nil {
		n.any.each(fn)
	}
	for _, c := range n.children {
		c.each(fn)
	}
}
