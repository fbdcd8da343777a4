package scenario

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
	"github.com/jetway-io/jetway/bench/wire"
)

// perHolder is how many clients one process holds: each has a loopback address
// of its own, and that has 28,000 ports on Linux.
const perHolder = 15_000

// spare is what a process needs files for beside its clients.
const spare = 500

// largest: as many idle clients as the server may have files open, up to
// Sizes.Largest. Other processes hold them.
func largest(e *Env) error {
	n := e.Sizes.Largest
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < uint64(n+spare) {
		n = int(limit.Max) - spare
	}
	s, err := e.start(driver.Use{Idle: true})
	if err != nil {
		return err
	}
	defer s.Stop()
	time.Sleep(e.Sizes.Settle)
	empty, err := s.RSS()
	if err != nil {
		return err
	}
	start := time.Now()
	var holders []*holder
	defer func() {
		for _, h := range holders {
			h.stop()
		}
	}()
	for held := 0; held < n; held += perHolder {
		h, err := e.hold(s.Addr, len(holders)+2, held, min(perHolder, n-held))
		if err != nil {
			return err
		}
		holders = append(holders, h)
	}
	took := time.Since(start)
	time.Sleep(5 * e.Sizes.Settle)
	full, err := s.RSS()
	if err != nil {
		return err
	}
	t := e.Result.Table("largest", thousands(n)+" clients are idle",
		fmt.Sprintf("Of %s, as many as this machine allows: a process may have %d files open. Each has one subscription, all to different subjects.", thousands(e.Sizes.Largest), limit.Max))
	e.add(t, report.Figure{Name: report.Each, Plot: true}, (full-empty)/1024/float64(n))
	e.add(t, report.Figure{Name: "RSS, MiB"}, full/(1<<20))
	e.add(t, report.Figure{Name: report.Connects, More: true}, float64(n)/took.Seconds())
	return nil
}

// holder is a process that holds clients.
type holder struct {
	cmd *exec.Cmd
	in  io.Closer
}

// hold starts this program again, as one that does Hold, and returns when its
// clients are connected.
func (e *Env) hold(addr string, host, first, count int) (*holder, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-hold", strconv.Itoa(count), "-first", strconv.Itoa(first), "-from", fmt.Sprintf("127.0.0.%d", host), "-peers", e.Program.Key, addr)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := &holder{cmd, in}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		h.stop()
		return nil, fmt.Errorf("a process that holds %d clients: %w", count, err)
	}
	return h, nil
}

func (h *holder) stop() {
	_ = h.in.Close()         // tells it to end
	_ = h.cmd.Process.Kill() // it may have ended
	_ = h.cmd.Wait()         // it was killed
}

// Hold connects count clients from an address, each subscribed to a subject of
// its own, says so, and keeps them until stdin ends.
func Hold(p *driver.Program, addr, from string, first, count int, in io.Reader, out io.Writer) error {
	e := &Env{Program: p}
	clients := make([]*driver.Client, count)
	failed := make(chan error, count)
	err := each(count, dialers, func(i int) (err error) {
		clients[i], err = e.join(addr, fmt.Sprint("events.bench.", first+i), driver.Options{Options: wire.Options{From: from, Buffer: 512}})
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range clients {
		go func() { failed <- errors.Join(errors.New("a connection has ended"), c.Listen()) }()
	}
	if _, err := fmt.Fprintln(out, "connected"); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, in)
		ended <- err
	}()
	select {
	case err := <-failed:
		return err
	case err := <-ended:
		return err
	}
}
