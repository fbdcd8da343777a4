package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// program is a server to be measured.
type program struct {
	name  string
	idle  bool // its memory is measured, too
	start func(dir string, port, admin int) (*exec.Cmd, error)
}

// programsOf are the servers, or the one that is called only.
func programsOf(bin, script, only string) []program {
	all := []program{
		{"Jetway, sync 2m", true, jetway(bin, "2m")},
		{"Jetway, sync always", false, jetway(bin, "always")},
		{"Node", true, func(_ string, port, _ int) (*exec.Cmd, error) {
			return exec.Command("node", script, strconv.Itoa(port)), nil
		}},
	}
	if only == "" {
		return all
	}
	for _, p := range all {
		if p.name == only {
			return []program{p}
		}
	}
	return nil
}

// configuration is Jetway's: the defaults, but for the ports and what one
// client and one address may do.
const configuration = `listen: 127.0.0.1:%d
admin: {listen: "127.0.0.1:%d"}
nats: {embedded: {sync: %s, listen: "", store_dir: ./data}}
bridge: {connect: {subscribe: [events.bench.room]}}
limits: {publish_rate: 1000000/s, publish_bytes: 1TiB/s, per_address: 100000, handshake_rate: 100000/s, handshake_rate_per_address: 100000/s}
`

func jetway(bin, sync string) func(dir string, port, admin int) (*exec.Cmd, error) {
	return func(dir string, port, admin int) (*exec.Cmd, error) {
		file := filepath.Join(dir, "jetway.yaml")
		cmd := exec.Command(bin, "serve", "--config", file)
		return cmd, os.WriteFile(file, fmt.Appendf(nil, configuration, port, admin, sync), 0o644)
	}
}

// server is a running program.
type server struct {
	cmd   *exec.Cmd
	dir   string
	addr  string
	admin string
}

// launch starts a program and waits until it can be connected to.
func launch(p program) (*server, error) {
	dir, err := os.MkdirTemp("", "bench-socketio-")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, addr: fmt.Sprint("127.0.0.1:", ports[0]), admin: fmt.Sprint("127.0.0.1:", ports[1])}
	if s.cmd, err = p.start(dir, ports[0], ports[1]); err != nil {
		return nil, err
	}
	s.cmd.Dir = dir
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		c, err := dial(s.addr)
		if err == nil {
			c.close()
			return s, nil
		}
	}
	text, _ := os.ReadFile(filepath.Join(dir, "log"))
	s.stop()
	return nil, fmt.Errorf("%s does not answer on %s: %s", p.name, s.addr, text)
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// freePorts are ports that nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// cpu is the time that the server has run for, to 10 ms: utime and stime are
// fields 14 and 15 of proc_pid_stat(5), in units of 1/100 s.
func (s *server) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var sum int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond, nil
}

// rss is what the server holds in memory, in bytes.
func (s *server) rss() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return n * 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS of %d", s.cmd.Process.Pid)
}

// metric asks Jetway for one of its metrics; false is another program.
func (s *server) metric(name string) (float64, bool) {
	r, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		return 0, false
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return v, err == nil
		}
	}
	return 0, false
}
