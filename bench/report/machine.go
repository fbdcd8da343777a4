package report

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine is where and with what the figures were made.
type Machine struct {
	CPU, Kernel, OS       string
	Cores                 int
	LoadBefore, LoadAfter string
	Versions              map[string]string
}

// ThisMachine asks for versions; module is the directory of this one.
func ThisMachine(module string) Machine {
	m := Machine{CPU: "unknown CPU", Kernel: output("uname", "-r"), OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), LoadBefore: load()}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	socketIO := module + "/peers/socketio/node_modules/socket.io/package.json"
	m.Versions = map[string]string{
		"Jetway":    output("git", "-C", module, "describe", "--always", "--dirty"),
		"go":        runtime.Version(),
		"node":      output("node", "--version"),
		"socket.io": output("node", "-p", `JSON.parse(require("fs").readFileSync(process.argv[1])).version`, socketIO),
		"redis":     output("redis-server", "--version"),
	}
	if _, v, ok := strings.Cut(m.Versions["redis"], "v="); ok {
		m.Versions["redis"], _, _ = strings.Cut(v, " ")
	}
	m.addModules(module)
	return m
}

// modules are those whose versions matter. The servers are built with them.
var modules = []string{"github.com/centrifugal/centrifuge", "github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go", "github.com/gorilla/websocket"}

func (m *Machine) addModules(module string) {
	list := output("go", append([]string{"-C", module, "list", "-m", "-f", "{{.Path}} {{.Version}}"}, modules...)...)
	for line := range strings.Lines(list) {
		path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		_, name, _ := strings.Cut(path, "/")
		m.Versions[strings.TrimSuffix(name, "/v2")] = version
	}
}

func load() string {
	fields := strings.Fields(output("cat", "/proc/loadavg"))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// output is what a command prints, or "" if it cannot.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
