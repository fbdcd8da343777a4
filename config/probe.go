package config

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// probe checks what is on the disk. A server that finds out later has already
// told a load balancer that it is there.
func (c *Config) probe(ps *problems) {
	if c.TLS.Cert != "" && c.TLS.Key != "" {
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			ps.add(c.at("tls.cert"), "tls.cert", "cannot be used with tls.key (%v): name two PEM files that belong together", err)
		}
	}
	if file := c.Auth.JWT.PublicKeyFile; file != "" {
		if _, err := os.ReadFile(file); err != nil {
			ps.add(c.at("auth.jwt.public_key_file"), "auth.jwt.public_key_file", "%q cannot be read (%v): name a PEM file", file, unwrapPath(err))
		}
	}
	if c.NATS.Credentials != "" && c.NATS.URL != "" {
		f, err := os.Open(c.NATS.Credentials)
		if err != nil {
			ps.add(c.at("nats.credentials"), "nats.credentials", "%q cannot be read (%v): name a .creds file", c.NATS.Credentials, unwrapPath(err))
			return
		}
		_ = f.Close() // opened for reading only
	}
	if dir := c.NATS.Embedded.StoreDir; c.NATS.URL == "" && dir != "" {
		if err := writable(dir); err != nil {
			ps.add(c.at("nats.embedded.store_dir"), "nats.embedded.store_dir",
				"%q cannot be made or written to (%v): name another directory, or change its owner", dir, unwrapPath(err))
		}
	}
}

// writable reports whether files can be made in the directory, or in the
// nearest one above it that exists. It leaves nothing behind.
func writable(dir string) error {
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return errors.New(filepath.Base(dir) + " is not a directory")
		case err == nil:
			f, err := os.CreateTemp(dir, ".jetway-check-*")
			if err != nil {
				return err
			}
			return errors.Join(f.Close(), os.Remove(f.Name()))
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return err
		}
		dir = parent
	}
}
