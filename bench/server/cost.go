package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Tick is how exactly CPU knows it.
const Tick = 10 * time.Millisecond

// CPU is how long the processes have run for, user and system together,
// children that have ended included.
func (s *Server) CPU() (time.Duration, error) {
	var sum time.Duration
	for _, cmd := range s.cmds {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		d, err := cpuOf(text)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// cpuOf reads proc_pid_stat(5): utime, stime, cutime and cstime are fields 14
// to 17, in ticks. The name, field 2, may have blanks in it.
func cpuOf(stat []byte) (time.Duration, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return 0, errors.New("a stat file with too few fields")
	}
	var ticks int64
	for _, f := range fields[11:15] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * Tick, nil
}

// RSS is what the processes hold in memory, in bytes.
func (s *Server) RSS() (float64, error) {
	var sum float64
	for _, cmd := range s.cmds {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		n, err := rssOf(string(text))
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", cmd.Process.Pid, err)
		}
		sum += n
	}
	return sum, nil
}

func rssOf(status string) (float64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return n * 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}
