package bridge_test

import (
	"testing"

	"github.com/jetway-io/jetway/bridge"
)

// Who may ask every service does not rule over every queue: dead letters need
// the right to do by hand what is asked for.
func TestDeadLetterRights(t *testing.T) {
	for _, tt := range []struct {
		name          string
		may           bridge.Permissions
		requeue, drop bridge.Code // "" for allowed
	}{
		{"everything", everything, "", ""},
		{"the default role of users", bridge.Permissions{Pub: []string{"events.chat.>", "jobs.*"}, Req: []string{"svc.>"}}, bridge.CodeForbidden, bridge.CodeForbidden},
		{"every service", bridge.Permissions{Req: []string{">"}}, bridge.CodeForbidden, bridge.CodeForbidden},
		{"every service, another queue", bridge.Permissions{Req: []string{">"}, Pub: []string{"jobs.b"}, Work: []string{"jobs.b"}}, bridge.CodeForbidden, bridge.CodeForbidden},
		{"and may publish", bridge.Permissions{Req: []string{">"}, Pub: []string{"jobs.*"}}, "", bridge.CodeForbidden},
		{"and may work", bridge.Permissions{Req: []string{">"}, Work: []string{"jobs.resize"}}, bridge.CodeForbidden, ""},
		{"an operator", bridge.Permissions{Req: []string{"dead.*"}, Pub: []string{"jobs.*"}, Work: []string{"jobs.*"}}, "", ""},
		{"an operator who drops nothing", bridge.Permissions{Req: []string{"dead.requeue"}, Pub: []string{"jobs.*"}, Work: []string{"jobs.*"}}, "", bridge.CodeForbidden},
		{"denied", bridge.Permissions{Req: []string{">"}, Pub: []string{">"}, Work: []string{">"}, Deny: bridge.Denied{Pub: []string{"jobs.resize"}, Work: []string{"jobs.>"}}}, bridge.CodeForbidden, bridge.CodeForbidden},
	} {
		for subject, want := range map[string]bridge.Code{"dead.requeue": tt.requeue, "dead.drop": tt.drop} {
			t.Run(tt.name+", "+subject, func(t *testing.T) {
				inBubble(t, func(t *testing.T, g *rig) { decide(t, g, tt.may, subject, want) })
			})
		}
	}
}

// decide has a client with these rights ask about a dead letter.
func decide(t *testing.T, g *rig, may bridge.Permissions, subject string, want bridge.Code) {
	all, r := g.connect(t)
	work(t, all, "jobs.resize", 1)
	add(t, all, job("1"))
	if err := settle(t, all, bridge.SettleRequest{How: bridge.SettleTerm, Lease: r.jobs(t, 1)[0].lease}); err != nil {
		t.Fatal(err)
	}
	letter := deadLetters(t, g, 1)[0]
	which := `{"pos":"` + bridge.Position{{Tag: letter.Stream.Tag, Seq: letter.Seq}}.String() + `"}`
	c, _ := g.connectAs(t, "ann")
	c.SetPermissions(&may)
	_, err := ask(c, subject, which)
	if want == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	wantCode(t, subject, err, want)
	if _, err := ask(all, "dead.drop", which); err != nil {
		t.Errorf("it was refused, and the letter is gone: %v", err)
	}
}
