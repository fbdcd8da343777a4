package jobs_test

import (
	"regexp"
	"testing"

	"github.com/jetway-io/jetway/examples/jobs"
)

// The pages must work without any other server, and must not be able to run
// what others publish.
func TestPagesStandAlone(t *testing.T) {
	pages := map[string][]byte{"index.html": jobs.Page, "worker.html": jobs.Worker, "worker.js": jobs.WorkerScript}
	for what, re := range map[string]string{
		"loads a resource":   `(?i)\b(src|href|action)="?(https?:)?//|@import|importScripts|[\s:]url\(`,
		"builds HTML":        `\.(innerHTML|outerHTML)\b|insertAdjacentHTML|document\.write`,
		"evaluates a string": `\beval\(|new Function\(`,
	} {
		for name, page := range pages {
			if found := regexp.MustCompile(re).Find(page); found != nil {
				t.Errorf("%s %s: %q", name, what, found)
			}
		}
	}
	for _, name := range []string{"index.html", "worker.html"} {
		if !regexp.MustCompile(`require-trusted-types-for 'script'`).Match(pages[name]) {
			t.Errorf("%s does not require Trusted Types", name)
		}
	}
}
