package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of one fetch. They stop a slow or broken issuer from holding clients,
// and memory.
const (
	fetchTimeout     = 5 * time.Second
	maxKeySetBytes   = 1 << 20
	maxFetchedHeader = 64 << 10
)

// jwks keeps the key set of an issuer.
type jwks struct {
	// Static after newJWKS.
	url      *url.URL
	client   *http.Client
	logger   *slog.Logger
	now      func() time.Time
	coolDown time.Duration
	refresh  time.Duration
	maxStale time.Duration
	ctx      context.Context // ends with close; the fetches' own lifetime
	cancel   context.CancelFunc
	fetches  sync.WaitGroup

	set atomic.Pointer[keySet] // nil until a fetch has succeeded

	mu     sync.Mutex
	flight chan struct{} // closed when the fetch that runs now ends; nil when none does
	tried  time.Time     // when the last one began
	failed bool          // whether the last one did
	closed bool
}

// newJWKS fetches nothing yet. The options have their defaults.
func newJWKS(o Options) (*jwks, error) {
	u, err := url.Parse(o.JWKSURL)
	if err != nil {
		return nil, errors.New("token: the JWKS URL is not one") // the error would repeat what may hold a password
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return nil, errors.New("token: the JWKS URL must look like https://issuer.example/.well-known/jwks.json")
	}
	transport := o.Transport
	if transport == nil {
		// Fetches are far apart, and a connection that is kept would be
		// goroutines without an owner.
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: maxFetchedHeader}
	}
	j := &jwks{
		url: u, logger: o.Logger.With("url", u.Redacted()), now: o.Clock,
		coolDown: o.JWKSCoolDown, refresh: o.JWKSRefresh, maxStale: o.JWKSMaxStale,
		// A redirect could lead to what only this machine can reach, such as
		// 169.254.169.254. It is an answer like any other, and not a 200.
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		j.logger.Warn("the keys of the issuer come over http: whoever is between here and there can replace them; use https")
	}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	return j, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// find returns the key for a token. It waits for a fetch only if that may
// bring the key.
func (j *jwks) find(ctx context.Context, h header) (*key, error) {
	set := j.current()
	k, ambiguous := set.find(h)
	if k != nil {
		if j.now().Sub(set.fetched) >= j.refresh {
			j.fetch() // for the next token; this one's key is good enough
		}
		return k, nil
	}
	if !ambiguous {
		if flight := j.fetch(); flight != nil {
			select {
			case <-flight:
			case <-ctx.Done():
				return nil, unavailable(0)
			}
			if k, ambiguous = j.current().find(h); k != nil {
				return k, nil
			}
		}
	}
	if ambiguous {
		return nil, refuse(UnknownKey, `the issuer has several keys for this algorithm: the token must name one with "kid"`)
	}
	return nil, j.missing()
}

// current is the set, unless it is so old that its keys may have been revoked
// long ago.
func (j *jwks) current() *keySet {
	set := j.set.Load()
	if set == nil || j.now().Sub(set.fetched) >= j.maxStale {
		return nil
	}
	return set
}

// missing is the error for a key that is not in the set.
func (j *jwks) missing() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	retry := max(0, j.coolDown-j.now().Sub(j.tried))
	if j.failed || j.closed || j.current() == nil {
		return unavailable(retry)
	}
	e := refuse(UnknownKey, "sign in again: the issuer has no such key, or it is newer than the last look at the issuer's keys")
	e.wire.Retry = retry
	return e
}

// fetch starts a fetch, unless one runs, and returns what is closed when it
// ends: nil when it is too early for another one.
func (j *jwks) fetch() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.flight != nil {
		return j.flight
	}
	now := j.now()
	if j.closed || !j.tried.IsZero() && now.Sub(j.tried) < j.coolDown {
		return nil
	}
	j.tried = now
	j.flight = make(chan struct{})
	j.fetches.Go(j.run)
	return j.flight
}

// run is one fetch, whoever waits for it.
func (j *jwks) run() {
	last := j.set.Load()
	set, err := j.get(last)
	if err != nil && j.ctx.Err() == nil {
		j.logger.Warn("the key set of the issuer cannot be had", "error", err, "kept", last.size(), "next", j.coolDown)
	}
	if err == nil {
		if last == nil || last.sum != set.sum {
			j.logger.Info("key set of the issuer", "keys", set.size())
		}
		j.set.Store(set)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed = err != nil
	close(j.flight)
	j.flight = nil
}

func (s *keySet) size() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// get fetches and reads the set. What is wrong with single keys is logged if
// the text is another than the last one.
func (j *jwks) get(last *keySet) (*keySet, error) {
	text, err := j.download()
	if err != nil {
		return nil, err
	}
	set := &keySet{fetched: j.now(), sum: sha256.Sum256(text)}
	set.keys, err = parseKeySet(text, func(index int, id string, err error) {
		if last == nil || last.sum != set.sum {
			j.logger.Warn("a key of the issuer is ignored", "index", index, "kid", id, "error", err)
		}
	})
	return set, err
}

func (j *jwks) download() ([]byte, error) {
	ctx, cancel := context.WithTimeout(j.ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json") // RFC 7517 section 8.5
	resp, err := j.client.Do(r)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // without the URL, which may hold a password
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %d, not 200; redirects are not followed", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeySetBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKeySetBytes)
	}
	return text, nil
}

// close ends the fetch that runs and returns when it has ended.
func (j *jwks) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.cancel()
	j.fetches.Wait()
}
