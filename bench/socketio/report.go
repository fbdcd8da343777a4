package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is SOCKETIO.md. The last program is what the others are compared to.
func (o options) report(programs []program, tables []*table) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Socket.IO clients\n")
	p("What a fan-out and idle clients cost: Jetway, and the reference server of Node in the same run, with the same clients.\n")
	p("* **Clients**: raw WebSockets that speak as much Socket.IO as they must and answer pings; all are in one process of Go, on the cores of the server. One of them emits, with an")
	p("  acknowledgement that must say `ok`; all of them get the event, an argument of %d bytes.", o.payload)
	p("* **Jetway**: the defaults but for the limits of one client and one address: `recovery: trailing`, sessions stored, the clients subscribed by `bridge.connect`. Each event is stored in a")
	p("  stream before it is acknowledged; with `sync: always` it is on disk.")
	p("* **Node**: `io.to(room).emit`, connection state recovery in memory, nothing stored ([server.js](socketio/server.js)).\n")
	p("Each client got each event once and in order, or the run failed. At full speed at most %d events are not with all clients yet. Windows of %s, %d runs on a server of their own each; within a", o.ahead, o.window, o.runs)
	p("run the programs take turns. Ratios are of one run, then least, median and most of the runs. CPU is that of the server's process, user and system. Memory is read %s after the last", o.settle)
	p("client has connected, garbage included.\n")
	p("Reproduce with `make bench-socketio`. Written by `bench/socketio`; do not edit.\n")
	p("%s\n", o.machine())
	for _, t := range tables {
		t.write(p, programs)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (t *table) write(p func(string, ...any), programs []program) {
	p("## %s\n", t.title)
	base := len(programs) - 1
	head, line := "| least – median – most |", "|---|"
	for i, program := range programs {
		if len(t.figures[i]) > 0 {
			head, line = head+" "+program.name+" |", line+"---|"
		}
	}
	for i, program := range programs[:base] {
		if len(t.figures[i]) > 0 {
			head, line = head+" "+program.name+" / "+programs[base].name+" |", line+"---|"
		}
	}
	p("%s\n%s", head, line)
	for _, name := range figureNames {
		if row := t.row(name, base); row != "" {
			p("| %s |%s", name, row)
		}
	}
	p("")
}

// row is the line of one figure without its name; "" if nobody has it.
func (t *table) row(name string, base int) string {
	row, any := "", false
	for _, f := range t.figures {
		if len(f) > 0 {
			row, any = row+" "+spreadOf(f[name])+" |", any || len(f[name]) > 0
		}
	}
	if !any {
		return ""
	}
	for _, f := range t.figures[:base] {
		if len(f) == 0 {
			continue
		}
		var ratios []float64
		for i := range min(len(f[name]), len(t.figures[base][name])) {
			ratios = append(ratios, f[name][i]/t.figures[base][name][i])
		}
		row += " " + spreadOf(ratios) + " |"
	}
	return row
}

// spreadOf writes the least, the median and the most, with three digits.
func spreadOf(list []float64) string {
	if len(list) == 0 {
		return "–"
	}
	list = slices.Sorted(slices.Values(list))
	text := func(v float64) string {
		switch {
		case v >= 100:
			return fmt.Sprintf("%.0f", v)
		case v >= 10:
			return fmt.Sprintf("%.1f", v)
		}
		return fmt.Sprintf("%.2f", v)
	}
	return strings.Join([]string{text(list[0]), text(list[len(list)/2]), text(list[len(list)-1])}, " – ")
}

// machine is one line about where and with what the figures were made.
func (o options) machine() string {
	cpu := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	load := strings.Join(strings.Fields(output("cat", "/proc/loadavg"))[:3], " ")
	return fmt.Sprintf("%s, %d cores (shared), %s/%s, %s, Jetway %s, node %s, socket.io %s, ws %s, load average at the end %s, %s.", cpu, runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH,
		runtime.Version(), o.commit, output("node", "--version"), o.version("socket.io"), o.version("ws"), load, time.Now().UTC().Format("2006-01-02"))
}

// version is that of a package of npm.
func (o options) version(name string) string {
	return output("node", "-p", `require("./`+filepath.ToSlash(filepath.Join(o.node, "node_modules", name, "package.json"))+`").version`)
}

// output is what a command prints, or that it is unknown.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
