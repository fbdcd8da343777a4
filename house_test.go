// Package jetway_test keeps the rules of the house that no compiler knows: who
// may import whom, and how long a file may get.
package jetway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/jetway-io/jetway/"

// goPackage is the part of "go list -json" that is needed here. Imports and
// Deps are those of the package without its tests.
type goPackage struct {
	ImportPath string
	Imports    []string // direct
	Deps       []string // all
}

// listPackages returns those of the module in a directory.
func listPackages(t *testing.T, dir string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// within reports whether a package is, or lies below, one of the trees. Trees
// of this module are written without its path, others as they are.
func within(pkg string, trees ...string) bool {
	for _, tree := range trees {
		for _, full := range []string{tree, module + tree} {
			if pkg == full || strings.HasPrefix(pkg, full+"/") {
				return true
			}
		}
	}
	return false
}

// standard reports whether the package is in Go's standard library: only
// there, the first element of a path has no dot.
func standard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

const nats = "github.com/nats-io"

// Data flows gateway → bridge → jetstream; imports point at the middle. A rule
// about a package that does not exist yet holds.
var rules = []struct {
	name  string
	trees []string                             // the rule is for packages in these
	bad   func(pkg string) bool                // whether the import is against it
	list  func(p goPackage) (imports []string) // which of the package's imports are looked at
}{
	{"bridge imports the standard library only", []string{"bridge"},
		func(pkg string) bool { return !standard(pkg) && !within(pkg, "bridge") }, allImports},
	{"gateway knows neither NATS nor the packages beside it", []string{"gateway"},
		func(pkg string) bool { return within(pkg, "jetstream", "config", "cmd", nats) }, allImports},
	{"jetstream knows neither gateway nor config", []string{"jetstream"},
		func(pkg string) bool { return within(pkg, "gateway", "config", "cmd") }, allImports},
	{"config knows neither gateway nor jetstream", []string{"config"},
		func(pkg string) bool { return within(pkg, "gateway", "jetstream", "cmd", nats) }, allImports},
	{"config imports its parsers and bridge only", []string{"config"},
		func(pkg string) bool {
			return !standard(pkg) && !within(pkg, "bridge", "config", "github.com/knadh/koanf", "github.com/spf13/pflag", "go.yaml.in/yaml")
		}, directImports},
	{"only jetstream imports NATS", []string{"bridge", "gateway", "config", "cmd", "internal"},
		func(pkg string) bool { return within(pkg, nats) }, directImports},
	{"nobody imports cmd", []string{"bridge", "gateway", "jetstream", "config", "examples", "internal"},
		func(pkg string) bool { return within(pkg, "cmd") }, directImports},
	{"examples use the public packages only", []string{"examples"},
		func(pkg string) bool { return within(pkg, "config", "internal") }, directImports},
	{"a worker on a queue is a plain NATS client", []string{"examples/jobs/worker"},
		func(pkg string) bool { return strings.HasPrefix(pkg, module) }, allImports},
}

func allImports(p goPackage) []string    { return p.Deps }
func directImports(p goPackage) []string { return p.Imports }

func TestImports(t *testing.T) {
	packages := listPackages(t, ".")
	if len(packages) == 0 {
		t.Fatal("go list found no package")
	}
	for _, rule := range rules {
		for _, p := range packages {
			if !within(p.ImportPath, rule.trees...) {
				continue
			}
			for _, pkg := range rule.list(p) {
				if rule.bad(pkg) {
					t.Errorf("%s, but %s imports %s (directly or not)", rule.name, p.ImportPath, pkg)
				}
			}
		}
	}
}

// Only cmd/jetway knows everyone: no other package brings two sides together.
func TestOnlyCmdKnowsEveryone(t *testing.T) {
	for _, p := range listPackages(t, ".") {
		if within(p.ImportPath, "cmd", "examples", "internal") {
			continue
		}
		knows := map[string]bool{}
		for _, pkg := range append(slices.Clone(p.Deps), p.ImportPath) {
			for _, side := range []string{"gateway", "jetstream", "config"} {
				knows[side] = knows[side] || within(pkg, side)
			}
		}
		if knows["gateway"] && knows["jetstream"] || knows["config"] && (knows["gateway"] || knows["jetstream"]) {
			t.Errorf("%s brings together %v, which only cmd/jetway may", p.ImportPath, knows)
		}
	}
}

// The load generator sees Jetway from outside, as a client does: what it
// measures is the program.
func TestBenchIsAClient(t *testing.T) {
	packages := listPackages(t, "bench")
	if len(packages) == 0 {
		t.Fatal("go list found no package in bench")
	}
	for _, p := range packages {
		for _, pkg := range p.Imports {
			if within(pkg, strings.TrimSuffix(module, "/")) && !within(pkg, "bench", "gateway/native") {
				t.Errorf("%s imports %s", p.ImportPath, pkg)
			}
		}
	}
}

// Sizes beyond which code is no longer read in one go. They are limits, not
// goals: most functions should have less than 12 lines.
const (
	maxFileLines     = 600
	maxFunctionLines = 110
)

func TestSizes(t *testing.T) {
	var lengths []int
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() != "." && d.Name()[0] == '.'):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		if slices.Contains([]string{"util.go", "utils.go", "types.go", "common.go", "helpers.go"}, d.Name()) {
			t.Errorf("%s: name the file for the one concept in it", path)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if lines := fset.File(file.FileStart).LineCount(); lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d: split it by concept", path, lines, maxFileLines)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1
			lengths = append(lengths, lines)
			if lines > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, more than %d: split it by step", path, f.Name.Name, lines, maxFunctionLines)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lengths)
	n := len(lengths)
	t.Logf("%d functions: median %d lines, 90th percentile %d, longest %d", n, lengths[n/2], lengths[n*9/10], lengths[n-1])
}
