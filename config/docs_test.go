package config_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/config"
)

// TestDocs keeps the table of docs/configuration.md equal to the keys:
// go test ./config -run TestDocs -update
func TestDocs(t *testing.T) {
	const file, begin, end = "../docs/configuration.md", "<!-- keys: written by go test ./config -run TestDocs -update -->\n", "<!-- end of keys -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has not the lines %q and %q", file, begin, end)
	}
	want := before + begin + table() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s is not what the keys say: run go test ./config -run TestDocs -update", file)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| key | unit | default | meaning | variable |\n|---|---|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, k := range config.Keys() {
		def, env := "none", "–"
		if strings.Contains(k.Doc, "required") {
			def = "required"
		}
		if k.Default != "" {
			def = "`" + k.Default + "`"
		} else if k.Env() != "" {
			def = "empty"
		}
		if k.Env() != "" {
			env = "`" + k.Env() + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Path, k.Kind, cell.Replace(def), cell.Replace(k.Doc), env)
	}
	return b.String()
}

// The shipped example is the defaults, with every key in it.
func TestExampleIsTheDefaults(t *testing.T) {
	text, err := os.ReadFile("../jetway.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := load(t, config.Source{File: "jetway.example.yaml", Text: text}).WithoutOrigins()
	want := load(t, config.Source{}).WithoutOrigins()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	lines := strings.Split(string(text), "\n")
	for _, k := range config.Keys() {
		name := k.Path[strings.LastIndexByte(k.Path, '.')+1:] + ":"
		commented := false
		for i, l := range lines {
			bare := strings.TrimLeft(l, "# -")
			if strings.HasPrefix(bare, name) && (strings.Contains(bare, " # ") || i > 0 && strings.HasPrefix(strings.TrimSpace(lines[i-1]), "#")) {
				commented = true
			}
		}
		if !commented {
			t.Errorf("%s is not in the example with a comment", k.Path)
		}
	}
}
