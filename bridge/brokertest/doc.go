// Package brokertest is the conformance suite of [bridge.Broker]: whatever
// implements it passes [Run], or the bridge cannot rely on it.
//
//	func TestBroker(t *testing.T) {
//		brokertest.Run(t, func(t *testing.T, s brokertest.Setup) brokertest.Broker {
//			return open(t, s) // closed by t.Cleanup
//		}, brokertest.HasQueues)
//	}
//
// The suite needs to do to streams what operators and limits do, see [Admin].
// A broker that has no methods for it is wrapped by its test; nothing is
// skipped for want of them. Queues, requests, sessions and gateways that
// reach each other are tested where the broker has them, and must be there if
// [Run] is told so.
//
// Nothing here sleeps: what takes time is awaited, up to a deadline that only
// a broken broker reaches. The clock is the real one, so that brokers with
// processes of their own can be tested.
package brokertest
