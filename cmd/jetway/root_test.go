package main

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// run executes a command line in an empty working directory, which holds a
// jetway.yaml if file is not empty.
func run(t *testing.T, file string, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if file != "" {
		if err := os.WriteFile("jetway.yaml", []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	m := &Main{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Env: env}
	code = m.Run(t.Context(), args)
	return code, out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		name, file     string
		env, args      []string
		code           int
		stdout, stderr string // what they must contain; "" means nothing at all
	}{
		{name: "help", args: []string{"--help"}, stdout: "Without a command, it serves."},
		{name: "help of a command", args: []string{"check", "--help"}, stdout: "jetway check /etc/jetway/jetway.yaml"},
		{name: "good file", file: "drain: 5s", args: []string{"check"}, stdout: "jetway.yaml is good\n"},
		{name: "warning", file: `allowed_origins: ["*"]`, args: []string{"check", "jetway.yaml"}, stdout: "warning: jetway.yaml:1: allowed_origins: "},
		{name: "all problems", file: "a: 1\ndrain: x\n", args: []string{"check"}, code: exitFailed,
			stderr: "jetway.yaml:1: unknown key \"a\": remove it\njetway.yaml:2: drain: \"x\" is not a duration"},
		{name: "no file", args: []string{"check"}, code: exitFailed, stderr: "jetway.yaml: cannot be read (no such file or directory)"},
		{name: "file as flag", file: "drain: 5s", args: []string{"check", "--config", "jetway.yaml"}, stdout: "jetway.yaml is good\n"},
		{name: "another file as flag", file: "drain: 5s", args: []string{"check", "--config=other.yaml"}, code: exitFailed, stderr: "other.yaml: cannot be read"},
		{name: "file twice", args: []string{"check", "a", "--config", "b"}, code: exitUsage, stderr: "give one of them"},
		{name: "no file at all", args: []string{"check", "--config="}, code: exitUsage, stderr: "the name of the file is empty"},
		{name: "no public key", file: "auth: {jwt: {public_key_file: jetway.yaml}}", args: []string{"check"}, code: exitFailed, stderr: "auth.jwt: "},
		{name: "too many files", args: []string{"check", "a", "b"}, code: exitUsage, stderr: `run "jetway check --help" for help`},
		{name: "unknown command", args: []string{"chekc"}, code: exitUsage, stderr: `jetway: unknown command "chekc": did you mean "check"?`},
		{name: "unknown flag", args: []string{"config", "--listn", "x"}, code: exitUsage, stderr: "unknown flag: --listn: did you mean --listen?"},
		{name: "flag of another command", args: []string{"check", "--listen=x"}, code: exitUsage, stderr: "unknown flag: --listen\n"},
		{name: "flag of a later release", args: []string{"config", "--nats.embedded.cluster.name=x"}, code: exitUsage, stderr: `"nats.embedded.cluster" is not available in this release`},
		{name: "flag without value", args: []string{"config", "--listen"}, code: exitUsage, stderr: "flag needs an argument: --listen"},
		{name: "argument too many", args: []string{"version", "x"}, code: exitUsage, stderr: `run "jetway version --help" for help`},
		{name: "config of the defaults", args: []string{"config"}, stdout: "listen: 127.0.0.1:8080 # default\n"},
		{name: "config of the working directory", file: "drain: 5s", args: []string{"config"}, stdout: "drain: 5s # jetway.yaml:1\n"},
		{name: "config of the environment", env: []string{"JETWAY_DRAIN=6s"}, args: []string{"config"}, stdout: "drain: 6s # JETWAY_DRAIN\n"},
		{name: "config of a flag", args: []string{"config", "--drain", "7s"}, stdout: "drain: 7s # --drain\n"},
		{name: "config with a bad variable", env: []string{"JETWAY_DRIAN=6s"}, args: []string{"config"}, code: exitFailed,
			stderr: "JETWAY_DRIAN: sets no known key: did you mean JETWAY_DRAIN?\n"},
		{name: "named file is missing", args: []string{"config", "--config", "x.yaml"}, code: exitFailed, stderr: "x.yaml: cannot be read"},
		{name: "empty file name", file: "drain: 5s", args: []string{"config", "--config="}, stdout: "drain: 10s # default\n"},
		{name: "unknown command below another", args: []string{"dead", "lst"}, code: exitUsage, stderr: `jetway: unknown command "lst": did you mean "ls"?`},
		{name: "no ID", args: []string{"dead", "drop"}, code: exitUsage, stderr: `run "jetway dead drop --help" for help`},
		{name: "two queues", args: []string{"dead", "requeue", "--all", "a", "b"}, code: exitUsage, stderr: "--all takes at most one QUEUE"},
		{name: "no jobs at a time", args: []string{"work", "jobs.r", "--max", "0"}, code: exitUsage, stderr: "--max 0: write how many"},
		{name: "no command for jobs", args: []string{"work", "jobs.r", "--exec", ""}, code: exitUsage, stderr: "--exec is empty"},
		{name: "no queue", args: []string{"work"}, code: exitUsage, stderr: `run "jetway work --help" for help`},
		{name: "no subject", args: []string{"req"}, code: exitUsage, stderr: `run "jetway req --help" for help`},
		{name: "negative wait", args: []string{"req", "s", "--wait", "-1s"}, code: exitUsage, stderr: "--wait -1s is not over zero"},
		{name: "two times to publish", args: []string{"pub", "s", "1", "--delay", "1s", "--at", "2030-01-02T03:04:05Z"}, code: exitUsage, stderr: "give one of them"},
		{name: "no time to publish", args: []string{"pub", "s", "1", "--at", "tomorrow"}, code: exitUsage, stderr: `--at "tomorrow" is not a time`},
		{name: "negative delay", args: []string{"pub", "s", "1", "--delay", "-1s"}, code: exitUsage, stderr: "--delay -1s is not over zero"},
		{name: "version", args: []string{"version"}, stdout: "nats-server  "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, tt.file, tt.env, tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			wants(t, "stdout", stdout, tt.stdout)
			wants(t, "stderr", stderr, tt.stderr)
		})
	}
}

func wants(t *testing.T, name, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

// Without a command it serves, whatever the flags; "serve" is faked here to
// see what reaches it.
func TestDefaultCommand(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", "serve"},
		{"--listen :80", "serve --listen :80"},
		{"--config=x", "serve --config=x"},
		{"--help", "--help"},
		{"-h", "-h"},
		{"version --json", "version --json"},
		{"--config x version", "--config x version"},
		{"servee", "servee"},
	} {
		m := &Main{}
		root := &cobra.Command{Use: "jetway", Args: noSuchCommand}
		root.AddCommand(&cobra.Command{Use: "serve", Run: func(*cobra.Command, []string) {}}, newVersionCmd(m))
		if got := strings.Join(m.withDefault(root, strings.Fields(tt.args)), " "); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.args, got, tt.want)
		}
	}
}

// Help without an example is help that has to be tried out.
func TestEveryCommandHasAnExample(t *testing.T) {
	var check func(parent *cobra.Command)
	check = func(parent *cobra.Command) {
		for _, cmd := range parent.Commands() {
			if cmd.Example == "" || cmd.Short == "" {
				t.Errorf("%s has no example or no short text", cmd.CommandPath())
			}
			check(cmd)
		}
	}
	check((&Main{}).newRoot())
}

func TestVersion(t *testing.T) {
	_, stdout, _ := run(t, "", nil, "version", "--json")
	var b build
	if err := json.Unmarshal([]byte(stdout), &b); err != nil || b.Version == "" || !strings.HasPrefix(b.Go, "go1.") {
		t.Errorf("%s: %v", stdout, err)
	}
	got := buildOf(&debug.BuildInfo{
		GoVersion: "go1.26.0",
		Main:      debug.Module{Version: "v0.1.0"},
		Deps:      []*debug.Module{{Path: natsServer, Version: "v2.15.2"}},
		Settings:  []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	})
	if want := (build{Version: "v0.1.0", Commit: "abc", Modified: true, NATSServer: "v2.15.2", Go: "go1.26.0"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := buildOf(nil).String(); !strings.HasPrefix(got, "jetway       unknown\n") {
		t.Errorf("got %q", got)
	}
}
