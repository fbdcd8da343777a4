package bridge

import "slices"

// authority is who a client is and what it may do. It is replaced as a whole.
type authority struct {
	user  string
	perms *Permissions // static
}

// User returns who is connected.
func (c *Client) User() string { return c.who.Load().user }

// Permissions returns what the client may do now. It must not be changed.
func (c *Client) Permissions() *Permissions { return c.who.Load().perms }

// SetPermissions changes what the client may do, from now on: subscriptions,
// durables among them, and work on queues that are not allowed any more end
// with the word "revoked" before it returns, what is queued of them is not
// written, and jobs that a worker has already can still be settled. So nothing
// has to be checked for each event: a subscription that exists is allowed. It
// does not wait for the broker, as others may wait for their turn: what a durable
// has seen is stored after it returns. p must not change any more; many clients
// may have the same.
func (c *Client) SetPermissions(p *Permissions) {
	c.mu.Lock()
	c.who.Store(&authority{c.who.Load().user, p})
	subs, workers := c.revokedLocked(p)
	c.mu.Unlock()
	for _, w := range workers {
		c.dismissWorker(w)
	}
	for _, sub := range subs {
		switch {
		case !c.ended(sub, endRevoked):
		case sub.durable != nil:
			c.bridge.work.Go(func() { c.bridge.drop(sub) })
		default:
			c.bridge.drop(sub)
		}
	}
}

// endRevoked is the word for what the permissions do not allow any more.
const endRevoked = "revoked"

// revokedLocked finds what p does not allow.
func (c *Client) revokedLocked(p *Permissions) (subs []*Subscription, workers []*worker) {
	for _, sub := range c.subs {
		if p.allowsAll(sub.want.filters) != nil {
			subs = append(subs, sub)
		}
	}
	if c.heir != nil && p.allowsAll(c.heir.next.want.filters) != nil {
		c.heir = nil // Refilter finds it gone
		c.changed.Broadcast()
	}
	for _, w := range c.workers {
		if p.allowWork(w.queue.subject) != nil {
			workers = append(workers, w)
		}
	}
	return subs, workers
}

// dismissWorker ends work from outside its client and says so.
func (c *Client) dismissWorker(w *worker) {
	if w.queue.retire(w) {
		c.Reply(func(out *Output) { c.encoder.End(out, w.sid, endRevoked) })
	}
}

// Become makes the client another user, one who has asked for nothing yet:
// what it publishes, owns and settles is a user's. It returns an [Error],
// conflict, when the client is somebody already: it has subscribed, worked, or
// waits for an answer.
func (c *Client) Become(user string, p *Permissions) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nextSID > 0 || c.inflight > 0 || len(c.subs) > 0 {
		return &Error{Code: CodeConflict, Msg: "this connection has been used as another user", Hint: "send auth before anything else, or connect again"}
	}
	c.who.Store(&authority{user, p})
	return nil
}

// allowsAll returns nil when all the filters may be subscribed to.
func (p *Permissions) allowsAll(filters []string) error {
	for _, f := range filters {
		if err := p.allowSub(f); err != nil {
			return err
		}
	}
	return nil
}

func (p *Permissions) allowPub(subject string) error {
	return allowed("publish to", subject, p.Pub, p.Deny.Pub)
}

func (p *Permissions) allowSub(filter string) error {
	return allowed("subscribe to", filter, p.Sub, p.Deny.Sub)
}

func (p *Permissions) allowWork(subject string) error {
	return allowed("work on", subject, p.Work, p.Deny.Work)
}

func (p *Permissions) allowReq(subject string) error {
	return allowed("send requests to", subject, p.Req, p.Deny.Req)
}

// Allowed returns those of the filters that may be subscribed to.
func (p Permissions) Allowed(filters []string) []string {
	return slices.DeleteFunc(slices.Clone(filters), func(f string) bool { return p.allowSub(f) != nil })
}
