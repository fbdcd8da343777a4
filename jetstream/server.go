package jetstream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// embedded is a nats-server in this process, with its store locked.
type embedded struct {
	srv  *server.Server
	lock *os.File
	dir  string
	sync bool // every write is synced
}

// startTimeout bounds the wait for the server to be ready: recovery of a store
// of many GiB whose index was lost reads all of it.
const startTimeout = 2 * time.Minute

// startEmbedded starts the server, or says in one sentence why it cannot.
func startEmbedded(ctx context.Context, o Options) (_ *embedded, err error) {
	e := o.Embedded
	if e.StoreDir == "" {
		return nil, errors.New("nats.embedded.store_dir is empty: set it to a directory for the streams, or set nats.url to use an external NATS server")
	}
	lock, err := lockStore(e.StoreDir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	if err := checkSpace(e.StoreDir, e.MaxStore); err != nil {
		return nil, err
	}
	opts, err := serverOptions(o)
	if err != nil {
		return nil, err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("the embedded NATS server refuses its options: %w", err)
	}
	lg := &serverLog{log: o.Logger}
	srv.SetLoggerV2(lg, false, false, false)
	srv.Start()
	if err := waitReady(ctx, srv, lg); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, err
	}
	return &embedded{srv: srv, lock: lock, dir: e.StoreDir, sync: e.SyncAlways}, nil
}

// serverOptions translates the options and checks that the address is free.
func serverOptions(o Options) (*server.Options, error) {
	e := o.Embedded
	opts := &server.Options{
		ServerName:        "jetway",
		NoSigs:            true,
		DontListen:        e.Listen == "",
		JetStream:         true,
		StoreDir:          e.StoreDir,
		JetStreamMaxStore: e.MaxStore,
		SyncAlways:        e.SyncAlways,
		SyncInterval:      e.SyncInterval,
		MaxPayload:        int32(e.MaxPayload),
		// The tails and the history of this process share one connection each;
		// nats-server cuts off a client with more than this waiting.
		MaxPending: 256 << 20,
	}
	opts.JetStreamLimits.DefaultMaxConsumers = o.MaxDurables
	if e.Listen == "" {
		return opts, nil
	}
	host, port, err := net.SplitHostPort(e.Listen)
	if err != nil {
		return nil, fmt.Errorf(`nats.embedded.listen %q is not an address: write it like "127.0.0.1:4222", or "" to serve in-process only`, e.Listen)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return nil, fmt.Errorf("nats.embedded.listen %q has no valid port: use 1 to 65535", e.Listen)
	}
	if n == 0 {
		n = server.RANDOM_PORT
	}
	opts.Host, opts.Port = host, n
	return opts, probe(e.Listen)
}

// probe reports an address that cannot be bound. nats-server itself would call
// its Fatalf and leave a server that never gets ready.
func probe(addr string) error {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf(`%s is in use by another program: stop it, or set nats.embedded.listen to another address, or to "" to serve in-process only`, addr)
	default:
		return fmt.Errorf(`nats.embedded.listen: cannot listen on %s: %w`, addr, err)
	}
}

// waitReady waits until clients are served. ReadyForConnections polls for a
// listener, which there need not be, so the ends are polled here.
func waitReady(ctx context.Context, srv *server.Server, lg *serverLog) error {
	deadline := time.Now().Add(startTimeout)
	for {
		if msg := lg.fatal(); msg != "" {
			return fmt.Errorf("the embedded NATS server cannot start: %s", msg)
		}
		if srv.ReadyForConnections(50*time.Millisecond) && srv.JetStreamEnabled() {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !srv.Running() || time.Now().After(deadline) {
			return fmt.Errorf("the embedded NATS server is not ready after %v: its log above says why", startTimeout)
		}
	}
}

// stop shuts the server down. It takes about 10 ms per durable consumer; when
// ctx ends before, the server is left to the end of the process, which loses
// nothing that was acknowledged.
func (e *embedded) stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.srv.Shutdown()
		e.srv.WaitForShutdown()
		e.lock.Close()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the embedded NATS server is still stopping: %w (ending the process now loses nothing that was acknowledged)", context.Cause(ctx))
	}
}

// lockStore creates the store directory and takes it for this process. Two
// servers on one store would overwrite each other's blocks.
func lockStore(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("nats.embedded.store_dir %s cannot be created: %w: choose another directory or give this user write access", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "jetway.lock"), os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o640)
	if err != nil {
		return nil, fmt.Errorf("nats.embedded.store_dir %s is not writable: %w: give this user write access or choose another directory", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		buf := make([]byte, 32)
		n, _ := f.Read(buf) // without a pid the sentence is shorter
		f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("nats.embedded.store_dir %s cannot be locked: %w: use a local file system", dir, err)
		}
		who := "another process"
		if pid := strings.TrimSpace(string(buf[:n])); pid != "" {
			who = "process " + pid
		}
		return nil, fmt.Errorf("nats.embedded.store_dir %s is in use by %s: stop it, or choose another directory", dir, who)
	}
	// The pid is for the sentence above only; failing to note it harms nobody.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return f, nil
}

// Space tells how many bytes are free on the disk of a store directory, which
// must exist, and how many its streams take.
func Space(dir string) (free, used int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("nats.embedded.store_dir %s: cannot tell the free space: %w", dir, err)
	}
	if used, err = diskUsage(filepath.Join(dir, "jetstream")); err != nil {
		return 0, 0, fmt.Errorf("nats.embedded.store_dir %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), used, nil
}

// checkSpace refuses a limit that the disk cannot hold. What the store itself
// takes already counts as available.
func checkSpace(dir string, max int64) error {
	free, used, err := Space(dir)
	if err != nil {
		return err
	}
	if max > free+used {
		return fmt.Errorf("nats.embedded.max_store is %s, but %s has only %s for it (%s free, %s used by the streams): lower max_store or free space",
			bytesText(max), dir, bytesText(free+used), bytesText(free), bytesText(used))
	}
	return nil
}

func diskUsage(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += st.Blocks * 512
		} else {
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}

func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/unit, 0
	for v >= unit && i < 4 {
		v, i = v/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[i])
}

// syncStore flushes the file system of the store: with an interval sync a
// young stream's metadata is not on disk yet, and a power cut would leave 0
// bytes of it, which takes the whole stream.
func (e *embedded) syncStore() error {
	d, err := os.Open(e.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

// serverLog passes nats-server's log on.
type serverLog struct {
	log *slog.Logger
	msg atomic.Pointer[string]
}

func (l *serverLog) Noticef(f string, a ...any) { l.log.Debug("nats: " + fmt.Sprintf(f, a...)) }
func (l *serverLog) Warnf(f string, a ...any)   { l.log.Warn("nats: " + fmt.Sprintf(f, a...)) }
func (l *serverLog) Errorf(f string, a ...any)  { l.log.Error("nats: " + fmt.Sprintf(f, a...)) }
func (l *serverLog) Debugf(string, ...any)      {}
func (l *serverLog) Tracef(string, ...any)      {}

// Fatalf keeps the text for waitReady: nats-server means to end the process.
func (l *serverLog) Fatalf(f string, a ...any) {
	msg := fmt.Sprintf(f, a...)
	l.msg.Store(&msg)
	l.log.Error("nats: " + msg)
}

func (l *serverLog) fatal() string {
	if p := l.msg.Load(); p != nil {
		return *p
	}
	return ""
}
