package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/config"
)

var update = flag.Bool("update", false, "write the golden files and the table of docs/configuration.md")

// TestGolden loads each testdata/NAME.yaml as "jetway.yaml". NAME.err holds
// what Load must say; a file without one must load.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if _, err := config.Load(config.Source{File: "jetway.yaml", Text: text}); err != nil {
				got = err.Error() + "\n"
			}
			golden(t, name+".err", got)
		})
	}
}

// golden compares with a file; an empty text is a file that is not there.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if got == "" {
			_ = os.Remove(file) // mostly not there
		} else if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\n--- got\n%s--- want\n%s", file, got, want)
	}
}
