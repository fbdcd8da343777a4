package browser_test

import (
	"regexp"
	"testing"

	"github.com/jetway-io/jetway/examples/browser"
)

// The page must work without any other server, and must not be able to run
// what others publish.
func TestPageStandsAlone(t *testing.T) {
	for name, re := range map[string]string{
		"loads a resource":   `(?i)\b(src|href|action)="?(https?:)?//|@import|url\(`,
		"builds HTML":        `\.(innerHTML|outerHTML)\b|insertAdjacentHTML|document\.write`,
		"evaluates a string": `\beval\(|new Function\(`,
	} {
		if found := regexp.MustCompile(re).Find(browser.Page); found != nil {
			t.Errorf("the page %s: %q", name, found)
		}
	}
	if !regexp.MustCompile(`require-trusted-types-for 'script'`).Match(browser.Page) {
		t.Error("the page does not require Trusted Types")
	}
}
