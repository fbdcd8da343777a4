package config_test

import (
	"testing"
	"time"

	"github.com/jetway-io/jetway/config"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1048576": 1 << 20, "1KiB": 1024, "4GiB": 4 << 30, "512MB": 512e6, "3 kB": 3000, "7B": 7, "2TiB": 2 << 40,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "B", "-1", "+1", "1.5GiB", "4gib", "4G", "GiB", "9999999999GiB", "1e9", "0x10"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 1: "1", 1024: "1KiB", 1536: "1536", 64 << 20: "64MiB", 5 << 40: "5TiB"} {
		if got := config.FormatSize(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "500ms": 500 * time.Millisecond, "7d": 168 * time.Hour, "1h30m": 90 * time.Minute, "0s": 0,
	} {
		if got, err := config.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "-1s", "+1s", "1w", "d", "-1d", "1.5d", "99999999d", "1 h"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0", time.Second: "1s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 168 * time.Hour: "168h",
		time.Hour + time.Second: "1h0m1s", 10 * time.Minute: "10m", 500 * time.Millisecond: "500ms",
	} {
		if got := config.FormatDuration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]float64{"1000/s": 1000, "60/m": 1, "30/m": 0.5, "36/h": 0.01} {
		if got, err := config.ParseRate(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "0/s", "-1/s", "/s", "1/d", "1.5/s", "1/S"} {
		if got, err := config.ParseRate(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
	for _, text := range []string{"1000/s", "1/s", "30/m", "7/m", "1/h", "11/h"} {
		r, err := config.ParseRate(text)
		if got := config.FormatRate(r); err != nil || got != text {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}
