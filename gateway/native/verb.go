package native

import "strings"

// Verb is what a client's message asks for.
type Verb uint8

// The verbs of the contract. VerbNone is a message without a known verb.
const (
	VerbNone Verb = iota
	VerbAuth
	VerbPub
	VerbSub
	VerbSeen
	VerbWork
	VerbAck
	VerbNak
	VerbWip
	VerbTerm
	VerbReq
	VerbOff
	VerbPing
	VerbHelp
	verbCount
)

// verbs is the one table of verbs. value names what the verb's value is, when
// it has to be a string; example is what `help` and the hints show.
var verbs = [verbCount]struct{ name, value, means, example string }{
	VerbAuth: {"auth", "a token", "say who you are, or refresh the token", `{"auth":"TOKEN"}`},
	VerbPub:  {"pub", "a subject", "publish; answered once it is stored", `{"pub":"events.chat.1","data":"hi","id":1}`},
	VerbSub:  {"sub", "a subject filter", "subscribe; from a pos, new, first, last, last:N, -10m or a time", `{"sub":"events.chat.>","from":"last:10"}`},
	VerbSeen: {"seen", "a pos", "everything up to it is processed", `{"seen":"POS","sid":"s1"}`},
	VerbWork: {"work", "a queue's subject", "become a worker, with at most max jobs at a time", `{"work":"jobs.resize","max":1}`},
	VerbAck:  {"ack", "a lease", "the job is done", `{"ack":"LEASE","data":{"ok":true}}`},
	VerbNak:  {"nak", "a lease", "give the job back", `{"nak":"LEASE","delay":"10s","why":"busy"}`},
	VerbWip:  {"wip", "a lease", "still working: extend the lease", `{"wip":"LEASE","data":{"percent":50}}`},
	VerbTerm: {"term", "a lease", "never again: dead-letter the job", `{"term":"LEASE","why":"not an image"}`},
	VerbReq:  {"req", "a subject", "ask a microservice", `{"req":"svc.time","data":{},"wait":"2s"}`},
	VerbOff:  {"off", "a sid", "end a subscription or work", `{"off":"s1"}`},
	VerbPing: {"ping", "", "answered with pong and the same value", `{"ping":1}`},
	VerbHelp: {"help", "", "this", `help`},
}

// synonyms are what people type who know other protocols.
var synonyms = map[string]Verb{
	"publish": VerbPub, "emit": VerbPub, "send": VerbPub, "message": VerbPub, "msg": VerbPub,
	"subscribe": VerbSub, "join": VerbSub, "on": VerbSub, "listen": VerbSub,
	"unsubscribe": VerbOff, "unsub": VerbOff, "leave": VerbOff, "stop": VerbOff, "close": VerbOff,
	"request": VerbReq, "call": VerbReq, "rpc": VerbReq,
	"token": VerbAuth, "login": VerbAuth, "connect": VerbAuth,
	"worker": VerbWork, "consume": VerbWork, "pull": VerbWork,
	"nack": VerbNak, "progress": VerbWip, "done": VerbAck, "pong": VerbPing,
}

// String returns the verb's name, "" for VerbNone.
func (v Verb) String() string {
	if v >= verbCount {
		return ""
	}
	return verbs[v].name
}

// Example returns a message with this verb that a client could send.
func (v Verb) Example() string {
	if v >= verbCount {
		return ""
	}
	return verbs[v].example
}

// verbOf finds a verb by its name.
func verbOf(name []byte) Verb {
	switch string(name) {
	case "pub":
		return VerbPub
	case "sub":
		return VerbSub
	case "seen":
		return VerbSeen
	case "ack":
		return VerbAck
	case "wip":
		return VerbWip
	case "req":
		return VerbReq
	case "ping":
		return VerbPing
	case "auth":
		return VerbAuth
	case "work":
		return VerbWork
	case "nak":
		return VerbNak
	case "term":
		return VerbTerm
	case "off":
		return VerbOff
	case "help":
		return VerbHelp
	}
	return VerbNone
}

// nearestVerb guesses which verb was meant, VerbNone when none is close.
func nearestVerb(name string) Verb {
	name = strings.ToLower(name)
	if v, ok := synonyms[name]; ok {
		return v
	}
	best, least := VerbNone, 2 // a distance of 2 is too far for names this short
	for v := VerbAuth; v < verbCount; v++ {
		if d := distance(name, verbs[v].name); d < least {
			best, least = v, d
		}
	}
	return best
}

// distance is Levenshtein's, for b shorter than 8 bytes; a long a is far.
func distance(a, b string) int {
	if len(a) > len(b)+2 {
		return len(a) - len(b)
	}
	var row [8]int
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// verbList is the name of every verb, for hints.
func verbList() string {
	names := make([]string, 0, verbCount)
	for v := VerbAuth; v < verbCount; v++ {
		names = append(names, verbs[v].name)
	}
	return strings.Join(names, ", ")
}

// hint is what to say to a client that used the verb wrongly.
func (v Verb) hint() string { return "as in " + verbs[v].example }
