package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// sizeUnits are tried in this order, so that the longer suffixes come first.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", kib}, {"MiB", mib}, {"GiB", gib}, {"TiB", tib},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

var (
	errSize      = errors.New("is not a size: write a number with KiB, MiB, GiB, kB, MB or GB, such as 4GiB, or bytes without a unit")
	errDuration  = errors.New("is not a duration: write a number with ms, s, m, h or d, such as 30s or 7d")
	errDurations = errors.New("is not a list of durations: write them with ms, s, m, h or d, such as [1s, 5s, 30s]")
	errRate      = errors.New("is not a rate: write a number per second, minute or hour, such as 1000/s")
	errByteRate  = errors.New("is not a size per second: write a size and /s, such as 16MiB/s")
	errCount     = errors.New("is not a whole number: write digits only, such as 1000")
	errAddress   = errors.New("is not an address: write host:port, such as 127.0.0.1:8080, or :8080 for every interface")
	errPort      = errors.New("has no such port: a port is a number from 0 (any free one) to 65535")
)

func parseSize(s string) (int64, error) {
	number, unit := s, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || strings.HasPrefix(number, "+") || n > math.MaxInt64/unit {
		return 0, errSize
	}
	return n * unit, nil
}

// FormatSize writes the largest unit that divides the size.
func FormatSize(n int64) string {
	for i := 3; i >= 0 && n > 0; i-- {
		if u := sizeUnits[i]; n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// parseDuration is time.ParseDuration with days, which operators think in for
// what is kept, and without negative values.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, errDuration
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || strings.HasPrefix(s, "+") {
		return 0, errDuration
	}
	return d, nil
}

func parseDurations(list []string) ([]time.Duration, error) {
	durations := []time.Duration{}
	for _, s := range list {
		d, err := parseDuration(s)
		if err != nil {
			return nil, errDurations
		}
		durations = append(durations, d)
	}
	return durations, nil
}

// formatDuration is Duration.String without zero parts: "168h", not "168h0m0s".
func formatDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func parseSync(s string) (time.Duration, error) {
	if s == "always" {
		return 0, nil
	}
	d, err := parseDuration(s)
	if err != nil || d == 0 {
		return 0, errors.New("is neither always nor an interval: write always, or how much a power cut may lose, such as 2s")
	}
	return d, nil
}

func formatSync(d time.Duration) string {
	if d == 0 {
		return "always"
	}
	return formatDuration(d)
}

// rateUnits are the seconds of each unit of a rate.
var rateUnits = []struct {
	suffix  string
	seconds float64
}{{"/s", 1}, {"/m", 60}, {"/h", 3600}}

// parseRate returns events per second.
func parseRate(s string) (float64, error) {
	for _, u := range rateUnits {
		number, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return 0, errRate
		}
		if n == 0 {
			return 0, errors.New("allows nothing: write at least 1/h, or take the right out of the role")
		}
		return float64(n) / u.seconds, nil
	}
	return 0, errRate
}

func formatRate(r float64) string {
	for _, u := range rateUnits {
		if n := math.Round(r * u.seconds); n >= 1 && math.Abs(n-r*u.seconds) < 1e-9*n {
			return strconv.FormatFloat(n, 'f', -1, 64) + u.suffix
		}
	}
	return strconv.FormatFloat(r, 'f', -1, 64) + "/s"
}

// parseByteRate returns bytes per second.
func parseByteRate(s string) (int64, error) {
	size, ok := strings.CutSuffix(s, "/s")
	if !ok {
		return 0, errByteRate
	}
	n, err := parseSize(strings.TrimSpace(size))
	if err != nil {
		return 0, errByteRate
	}
	return n, nil
}

func formatByteRate(n int64) string { return FormatSize(n) + "/s" }

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strings.HasPrefix(s, "+") {
		return 0, errCount
	}
	return n, nil
}

// checkAddress refuses what net.Listen would, but before anything is started.
func checkAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errAddress
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errPort
	}
	for _, r := range host {
		if r <= ' ' || r > '~' || strings.ContainsRune(`/@"'\`, r) {
			return errAddress
		}
	}
	return nil
}

// bounds refuses a number outside of a key's bounds, which mostly is a number
// with the wrong unit.
func (k Key) bounds(n int64, format func(int64) string) error {
	switch {
	case n < k.min:
		return fmt.Errorf("is too small: write at least %s", format(k.min))
	case k.max > 0 && n > k.max:
		return fmt.Errorf("is too large: write at most %s", format(k.max))
	}
	return nil
}

func formatCount(n int64) string { return strconv.FormatInt(n, 10) }

// example is a value of the key that is right.
func example(k Key) string {
	switch {
	case k.Kind == Subscriptions:
		return `[events.news.>, {subject: "events.users.{user}.>", from: first}]`
	case k.Kind == Mappings:
		return "[" + oneMapping + "]"
	case k.Default == "":
		return `"…"`
	}
	return k.Default
}
