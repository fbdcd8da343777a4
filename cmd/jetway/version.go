package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what the program says about itself.
type build struct {
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	Modified   bool   `json:"modified,omitempty"` // built from files that differ from the commit
	NATSServer string `json:"nats_server,omitempty"`
	Go         string `json:"go"`
}

// natsServer is the module whose version matters to operators: it decides
// which JetStream features the embedded server has.
const natsServer = "github.com/nats-io/nats-server/v2"

func newVersionCmd(m *Main) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of Jetway, its NATS server and Go",
		Example: `  jetway version
  jetway version --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			b := buildOf(info)
			if asJSON {
				return json.NewEncoder(m.Stdout).Encode(b)
			}
			_, err := fmt.Fprint(m.Stdout, b)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// buildOf reads what the Go linker has noted; nil is nothing.
func buildOf(info *debug.BuildInfo) build {
	if info == nil {
		return build{Version: "unknown", Go: "unknown"}
	}
	b := build{Version: cmp.Or(info.Main.Version, "unknown"), Go: info.GoVersion}
	if b.Version == "(devel)" {
		b.Version = "devel"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, dep := range info.Deps {
		if dep.Path == natsServer {
			if dep.Replace != nil {
				dep = dep.Replace
			}
			b.NATSServer = dep.Version
		}
	}
	return b
}

// String is one line per part.
func (b build) String() string {
	commit := cmp.Or(b.Commit, "unknown")
	if b.Modified {
		commit += " (modified)"
	}
	return fmt.Sprintf("jetway       %s\ncommit       %s\nnats-server  %s\ngo           %s\n",
		b.Version, commit, cmp.Or(b.NATSServer, "unknown"), b.Go)
}
