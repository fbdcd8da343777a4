// Package brokertest is the conformance suite of [bridge.Broker]: whatever
// implements it passes [Run], or the bridge cannot rely on it.
//
//	func TestBroker(t *testing.T) {
//		brokertest.Run(t, func(t *testing.T, streams ...brokertest.Stream) brokertest.Broker {
//			return open(t, streams) // closed by t.Cleanup
//		})
//	}
//
// The suite needs to do to streams what operators and limits do, see [Admin].
// A broker that has no methods for it is wrapped by its test; nothing is
// skipped for want of them.
//
// Nothing here sleeps: what takes time is awaited, up to a deadline that only
// a broken broker reaches. The clock is the real one, so that brokers with
// processes of their own can be tested.
package brokertest
