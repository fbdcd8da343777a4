package jetway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/config"
	"github.com/jetway-io/jetway/gateway/native"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pages are the documents for people.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "bench/*.md", "e2e/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// TestDocsLinks: what the documents link to in this repository is there,
// headings too.
func TestDocsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(readText(t, page), -1) {
			path, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			} else if heading != "" && !slices.Contains(anchors(readText(t, target)), heading) {
				t.Errorf("%s links to %s, but %s has no such heading", page, m[1], target)
			}
		}
	}
}

// anchors are the places in a page that a link can name, as GitHub makes them.
func anchors(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$|<a id="([^"]+)">`).FindAllStringSubmatch(text, -1) {
		dropped := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, m[2]+strings.ReplaceAll(dropped, " ", "-"))
	}
	return all
}

// TestDocsMetrics: README and docs/operations.md name every metric, and none
// that does not exist.
func TestDocsMetrics(t *testing.T) {
	name := regexp.MustCompile(`\bjetway_[a-z_]+`)
	there := name.FindAllString(readText(t, "gateway/metrics.go"), -1)
	if len(there) < 15 {
		t.Fatalf("only found %q", there)
	}
	for _, page := range []string{"README.md", "docs/operations.md"} {
		named := name.FindAllString(readText(t, page), -1)
		for _, n := range there {
			if !slices.Contains(named, n) {
				t.Errorf("%s does not name %s", page, n)
			}
		}
		for _, n := range named {
			if !slices.Contains(there, n) {
				t.Errorf("%s names %s, which does not exist", page, n)
			}
		}
	}
}

// TestDocsProtocol: docs/protocol.md has a row for each verb, and for each
// error code.
func TestDocsProtocol(t *testing.T) {
	text := readText(t, "docs/protocol.md")
	_, verbs, _ := strings.Cut(text, "## What clients send")
	verbs, _, _ = strings.Cut(verbs, "\n## ")
	for v := native.VerbAuth; v.String() != ""; v++ {
		if !strings.Contains(verbs, "| `"+v.String()+"` |") {
			t.Errorf("verb %s has no row", v)
		}
	}
	_, codes, _ := strings.Cut(text, "## Error codes")
	codes, _, _ = strings.Cut(codes, "\n## ")
	new(bridge.Stats).Refused.Each(func(c bridge.Code, _ uint64) {
		if !strings.Contains(codes, "| `"+string(c)+"` |") {
			t.Errorf("error code %s has no row", c)
		}
	})
}

// TestDocsConfiguration: the YAML in README is a good configuration.
func TestDocsConfiguration(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readText(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md has no configuration")
	}
	for _, b := range blocks {
		if _, err := config.Load(config.Source{File: "README.md", Text: []byte(b[1])}); err != nil {
			t.Error(err)
		}
	}
}

// TestDocsFrames: what README and docs/protocol.md show of the protocol is what
// is read and written.
func TestDocsFrames(t *testing.T) {
	sent, received := 0, 0
	for _, page := range []string{"README.md", "docs/protocol.md"} {
		for _, m := range regexp.MustCompile(`(?m)^(?:[→←] )?(\{".*\})$`).FindAllStringSubmatch(readText(t, page), -1) {
			line := []byte(m[1])
			var f native.Frame
			if native.Parse(line, &f) == nil {
				sent++
				continue
			}
			var r native.Received
			if err := native.ParseReceived(line, &r); err != nil || r.Kind == native.KindUnknown {
				t.Errorf("%s: nobody sends %s", page, line)
			}
			received++
		}
	}
	if sent < 4 || received < 8 {
		t.Errorf("only %d messages of clients and %d of the server", sent, received)
	}
}

// TestDocsCases: every case of an attack has a test that is named after it, or
// docs/security.md says why not.
func TestDocsCases(t *testing.T) {
	tests, doc := allTests(t), readText(t, "docs/security.md")
	for letter, last := range map[string]int{"A": 15, "E": 17, "N": 9, "W": 17, "J": 5, "H": 8} {
		for n := 1; n <= last; n++ {
			id := fmt.Sprintf("%s%02d", letter, n)
			if !strings.Contains(tests, "\nfunc Test"+id) && !strings.Contains(doc, "**"+id+"**") {
				t.Errorf("%s has neither a test nor a reason", id)
			}
		}
	}
}

// allTests is the text of all files of tests.
func allTests(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*/*_test.go", "*/*/*_test.go", "*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			all.WriteString(readText(t, f))
		}
	}
	return all.String()
}

// TestDocsSecurity: the tests that docs/security.md names are there.
func TestDocsSecurity(t *testing.T) {
	all := allTests(t)
	rows := 0
	for line := range strings.Lines(readText(t, "docs/security.md")) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| threat ") {
			continue
		}
		rows++
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[3], -1)
		if len(names) == 0 {
			t.Errorf("nothing shows %s", strings.TrimSpace(cells[1]))
		}
		for _, m := range names {
			name, _, _ := strings.Cut(m[1], "/")
			if !strings.Contains(all, "\nfunc "+name+"(") {
				if _, err := os.Stat(m[1]); err != nil {
					t.Errorf("there is no test %s", m[1])
				}
			}
		}
	}
	if rows < 20 {
		t.Errorf("only %d rows were read", rows)
	}
}
