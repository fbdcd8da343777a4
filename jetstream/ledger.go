package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// ledger is the list of the streams that an embedded store held: without it, a
// stream whose metadata a power cut emptied would be made again, empty, and
// nobody would hear of the loss. A nil ledger (external server) knows nothing.
type ledger struct {
	Streams []string `json:"streams"`

	path  string
	dirty bool
}

// readLedger reads <dir>/jetway-streams.json; a missing file is an empty list.
func readLedger(dir string) (*ledger, error) {
	l := &ledger{path: filepath.Join(dir, "jetway-streams.json")}
	data, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(data, l)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s, the list of the streams in this store: %w: correct it, or delete it when all streams are there", l.path, err)
	}
	return l, nil
}

func (l *ledger) has(name string) bool { return l != nil && slices.Contains(l.Streams, name) }

func (l *ledger) add(name string) {
	if l == nil || l.has(name) {
		return
	}
	l.Streams = append(l.Streams, name)
	l.dirty = true
}

// write stores the list so that a power cut leaves the old one or the new one.
func (l *ledger) write() error {
	if l == nil || !l.dirty {
		return nil
	}
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(l.path, append(data, '\n')); err != nil {
		return fmt.Errorf("cannot write %s: %w: give this user write access to the store", l.path, err)
	}
	l.dirty = false
	return nil
}

// replaceFile writes a file by way of a synced temporary one.
func replaceFile(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync() // the rename itself
}
