// Package server runs the programs that are measured, each as a process of its
// own, and reads what they have cost.
package server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Server is one or more running processes, in a directory of their own.
type Server struct {
	Addr string // where clients connect, once it is set
	Dir  string

	cmds []*exec.Cmd
}

// New makes the directory.
func New(under string) (*Server, error) {
	dir, err := os.MkdirTemp(under, "bench-")
	if err != nil {
		return nil, err
	}
	return &Server{Dir: dir}, nil
}

// Run starts one process more. What it prints is in Log.
func (s *Server) Run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // ends with the load generator
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmds = append(s.cmds, cmd)
	return nil
}

func (s *Server) log() string { return filepath.Join(s.Dir, "log") }

// Log is the end of what the processes have printed.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// Await returns when ready does not fail any more.
func (s *Server) Await(timeout time.Duration, ready func() error) error {
	var err error
	for until := time.Now().Add(timeout); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = ready(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("not ready after %s: %w; it says: %s", timeout, err, s.Log())
}

// Stop kills the processes and removes the directory.
func (s *Server) Stop() {
	for _, cmd := range s.cmds {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // it was killed
	}
	_ = os.RemoveAll(s.Dir)
}

// FreeAddr is an address that nobody listens on.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// ListensOn reports whether somebody does.
func ListensOn(addr string) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}
