package bridge

import (
	"fmt"
	"strings"
)

// Permissions says what a client may do, as lists of subject filters. An empty
// list allows nothing.
type Permissions struct {
	Pub  []string // subjects it may publish to
	Sub  []string // filters it may subscribe within
	Work []string // queues it may work on
	Req  []string // subjects it may send requests to
}

// allowed returns nil when everything that the filter matches is within one of
// the allowed filters.
func allowed(what, filter string, allow []string) error {
	if Reserved(filter) {
		return reserved(filter)
	}
	for _, a := range allow {
		if Within(filter, a) {
			return nil
		}
	}
	hint := "nothing is allowed: ask for a role that allows it"
	if len(allow) > 0 {
		hint = "allowed: " + strings.Join(allow, ", ")
	}
	return &Error{Code: CodeForbidden, Msg: fmt.Sprintf("not allowed to %s %q", what, filter), Hint: hint}
}

// reserved refuses what is [Reserved].
func reserved(filter string) error {
	return &Error{Code: CodeForbidden, Msg: fmt.Sprintf("%q is reserved", filter), Hint: `subjects under "jetway.", "_INBOX." and "$…" belong to the server`}
}
