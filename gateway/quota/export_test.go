package quota

// MaxLeft is for tests.
const MaxLeft = maxLeft

// Left returns how many users are known that have left.
func (r *Registry) Left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.left) + len(r.older)
}
