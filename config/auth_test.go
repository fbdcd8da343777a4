package config_test

import (
	"strings"
	"testing"

	"github.com/jetway-io/jetway/config"
)

const someSecret = "0123456789abcdef0123456789abcdef"

// hardening.md H06: secrets of tokens are neither printed nor repeated.
func TestTokenSecretsAreMasked(t *testing.T) {
	c := load(t, config.Source{Env: []string{"JETWAY_AUTH_JWT_SECRET=" + someSecret, "JETWAY_AUTH_JWT_JWKS_URL=https://bob:hunter2@issuer.example/keys"}})
	text, err := c.Effective()
	if err != nil || strings.Contains(string(text), "0123456") || strings.Contains(string(text), "hunter2") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, want := range []string{`secret: '***' # JETWAY_AUTH_JWT_SECRET`, "jwks_url: https://bob:***@issuer.example/keys"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	for _, bad := range []string{"JETWAY_AUTH_JWT_SECRET=hunter2", "JETWAY_AUTH_JWT_JWKS_URL=ftp://hunter2@x", "JETWAY_AUTH_JWT_JWKS_URL=hunter2 %"} {
		if _, err := config.ParseOnly(config.Source{Env: []string{bad}}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

// With tokens, nobody is let in without one unless that is asked for: a
// gateway on loopback may be behind a proxy that everyone can reach.
func TestAnonymousWithTokens(t *testing.T) {
	env := []string{"JETWAY_AUTH_JWT_SECRET=" + someSecret}
	if c := load(t, config.Source{Env: env}); c.Auth.Anonymous != "" {
		t.Errorf("anonymous clients are %q", c.Auth.Anonymous)
	}
	if c := load(t, config.Source{Env: append(env, "JETWAY_AUTH_ANONYMOUS=dev")}); c.Auth.Anonymous != "dev" {
		t.Errorf("anonymous clients are %q", c.Auth.Anonymous)
	}
}

func TestAuthWarnings(t *testing.T) {
	const secret = "auth: {jwt: {secret: " + someSecret + "}"
	for text, want := range map[string]string{
		secret + "}":                  "",
		secret + ", anonymous: dev}":  "auth.anonymous: tokens are taken, but who has none",
		secret + ", query: token}":    "auth.query: tokens in URLs",
		secret + ", anonymous: user}": "",
		"auth: {jwt: {jwks_url: https://issuer.example/k, issuer: i}}":                       "auth.jwt.audience: is empty",
		"auth: {jwt: {jwks_url: https://issuer.example/k, audience: a}}":                     "auth.jwt.issuer: is empty: tokens of every issuer",
		"auth: {jwt: {jwks_url: http://issuer.example/k, issuer: i, audience: a}}":           "auth.jwt.jwks_url: whoever is between",
		"auth: {jwt: {jwks_url: http://127.0.0.1:9/k, issuer: i, audience: a}}":              "",
		"auth: {jwt: {secret: " + strings.Repeat("ab", 16) + "}}":                            "auth.jwt.secret: has only 2 different characters",
		"auth: {jwt: {secret: " + strings.Repeat("changeme", 5) + "}}":                       "auth.jwt.secret: has only 7 different characters",
		secret + "}\nlisten: :8080":                                                          "tls.cert: is empty: tokens and events",
		secret + "}\nlisten: 10.0.0.1:8080":                                                  "",
		secret + ", cookie: c}\nallowed_origins: [https://app.example]\nlisten: 10.0.0.1:80": "",
	} {
		got := load(t, config.Source{File: "f", Text: []byte(text)}).Warnings()
		if len(got) > 1 || (len(got) == 1) != (want != "") || len(got) == 1 && !strings.Contains(got[0], want) {
			t.Errorf("%s: got %q", text, got)
		}
	}
}

// A04: cookies and "*" together refuse to start.
func TestA04(t *testing.T) {
	_, err := config.Load(config.Source{File: "f", Text: []byte("allowed_origins: [\"*\"]\nauth: {jwt: {secret: " + someSecret + "}, cookie: session}")})
	if err == nil || !strings.Contains(err.Error(), `with "*" in allowed_origins, any web page could use its visitors' cookies`) {
		t.Errorf("got %v", err)
	}
}
