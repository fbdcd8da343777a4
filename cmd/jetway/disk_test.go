package main

import "testing"

func TestStoreSize(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, tt := range []struct {
		room, size int64
		ok         bool
	}{
		{20 * gib, 0, false},
		{10 * gib, 0, false},
		{10*gib - 1, 8 * gib, true},
		{287 * mib, 256 * mib, true},
		{64 * mib, 64 * mib, true},
		{63 * mib, 64 * mib, false},
	} {
		size, ok := storeSize(10*gib, tt.room)
		if ok != tt.ok || ok && size != tt.size {
			t.Errorf("room %d: %d, %v", tt.room, size, ok)
		}
	}
}
