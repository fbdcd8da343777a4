package jetway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLifeOfAnEvent: every function that the "Life of an event" in
// bridge/doc.go names exists, in the package that it says.
func TestLifeOfAnEvent(t *testing.T) {
	doc, err := os.ReadFile("bridge/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{"bridge": "bridge", "jetstream": "jetstream", "native": "gateway/native", "websock": "gateway/websock",
		"engineio": "gateway/engineio", "socketio": "gateway/socketio", "sio": "gateway/sio"}
	named := regexp.MustCompile(`(?m)^//\t(\w+)\.(\(\*?\w+\)\.)?(\w+) `).FindAllStringSubmatch(string(doc), -1)
	if lines := regexp.MustCompile(`(?m)^//\t`).FindAllString(string(doc), -1); len(named) < 50 || len(lines) != len(named) {
		t.Fatalf("%d functions are named, in %d lines", len(named), len(lines))
	}
	for _, n := range named {
		pkg, receiver, name := n[1], strings.Trim(n[2], "()."), n[3]
		decl := `(?m)^func ` + name + `\(`
		if receiver != "" {
			decl = `(?m)^func \((\w+ )?` + regexp.QuoteMeta(receiver) + `\) ` + name + `\(`
		}
		if !declared(t, dirs[pkg], regexp.MustCompile(decl)) {
			t.Errorf("%s: there is no %s", pkg, strings.TrimSpace(n[2]+name))
		}
	}
}

func declared(t *testing.T, dir string, decl *regexp.Regexp) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %q: %v", dir, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") && decl.Match(text) {
			return true
		}
	}
	return false
}
