package token_test

import (
	"testing"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/token"
)

// TestHistoryOfRoleThatDoesNotApply has a role of unlimited history whose
// filters need a claim that the token has not, or that is no safe token.
func TestHistoryOfRoleThatDoesNotApply(t *testing.T) {
	roles := map[string]bridge.Permissions{
		"guest":  {Sub: []string{"events.>"}, History: &bridge.History{Age: time.Hour}},
		"tenant": {Sub: []string{"tenants.{tenant}.>"}},
	}
	for tenant, limited := range map[string]bool{"": true, "*": true, "a.b": true, "acme": false} {
		id := &token.Identity{User: "ann", Roles: []string{"guest", "tenant"}}
		if tenant != "" {
			id.Claims = map[string]string{"tenant": tenant}
		}
		p := id.Permissions(roles, nil)
		if (p.History != nil) != limited {
			t.Errorf("tenant %q: history %+v with %q", tenant, p.History, p.Sub)
		}
	}
}
