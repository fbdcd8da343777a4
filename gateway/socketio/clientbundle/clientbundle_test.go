package clientbundle_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/jetway-io/jetway/gateway/socketio/clientbundle"
)

func get(header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/socket.io/socket.io.js", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	clientbundle.ServeHTTP(w, r)
	return w
}

func TestServe(t *testing.T) {
	w := get()
	body := w.Body.String()
	if w.Code != http.StatusOK || !strings.HasPrefix(body, "/*!\n * Socket.IO v"+clientbundle.Version+"\n") || !strings.Contains(body[:200], "MIT License") {
		t.Errorf("%d, begins with %.200q", w.Code, body)
	}
	if got := w.Header().Get("Content-Type"); got != "text/javascript; charset=utf-8" {
		t.Errorf("the type is %q", got)
	}
	again := get("If-None-Match", w.Header().Get("ETag"))
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked again: %d with %d bytes", again.Code, again.Body.Len())
	}
}

// TestSameAsNPM: the file is that of the npm package that the end-to-end tests
// use, and so is what they show of it.
func TestSameAsNPM(t *testing.T) {
	const npm = "../../../e2e/node_modules/socket.io-client/"
	script, err := os.ReadFile(npm + "dist/socket.io.min.js")
	if errors.Is(err, fs.ErrNotExist) {
		checkLocked(t)
		return
	} else if err != nil {
		t.Fatal(err)
	}
	if get().Body.String() != string(script) {
		t.Error("socket.io.min.js is not that of npm: run go generate")
	}
	var pkg struct{ Version string }
	text, err := os.ReadFile(npm + "package.json")
	if err == nil {
		err = json.Unmarshal(text, &pkg)
	}
	if err != nil || pkg.Version != clientbundle.Version {
		t.Errorf("npm has %q (%v), Version is %q", pkg.Version, err, clientbundle.Version)
	}
}

// checkLocked compares at least the versions, where npm has not been run.
func checkLocked(t *testing.T) {
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	text, err := os.ReadFile("../../../e2e/package-lock.json")
	if err == nil {
		err = json.Unmarshal(text, &lock)
	}
	if got := lock.Packages["node_modules/socket.io-client"].Version; err != nil || got != clientbundle.Version {
		t.Errorf("e2e/package-lock.json has %q (%v), Version is %q", got, err, clientbundle.Version)
	}
}
