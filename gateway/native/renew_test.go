package native_test

import (
	"strings"
	"testing"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/auth"
)

// TestRulesChangeDuringAuth has the roles change after a token was judged and
// before its client is known by it.
func TestRulesChangeDuringAuth(t *testing.T) {
	may := bridge.Permissions{Pub: []string{"events.>"}, Sub: []string{"events.>"}}
	for name, who := range map[string]*auth.Identity{
		"nobody": nil, "anonymous": {User: "anonymous", Anonymous: true, Permissions: &may}, "refresh": {User: "ann", Permissions: &may},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.users["token"] = &auth.Identity{User: "ann", Permissions: &may}
			s.opts.Current = func(id *auth.Identity) *auth.Identity {
				now := *id
				now.Permissions = &bridge.Permissions{Sub: []string{"events.>"}}
				return &now
			}
			c := s.connect(who)
			if got := ask(t, c, `{"auth":"token","id":1}`); !strings.Contains(got, `"user":"ann"`) {
				t.Fatalf("auth was answered %s", got)
			}
			if got := ask(t, c, `{"pub":"events.a","data":1,"id":2}`); !strings.Contains(got, `"forbidden"`) {
				t.Errorf("with the roles as they were, pub was answered %s", got)
			}
		})
	}
}
