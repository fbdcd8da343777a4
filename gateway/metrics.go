package gateway

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jetway-io/jetway/bridge"
)

// adminHandler serves operators: metrics and the probes.
func (s *Server) adminHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.metrics())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s.handleHealth(mux)
	return s.surface(mux)
}

// metrics exports the counters of the bridge and of the connections.
func (s *Server) metrics() prometheus.Collector {
	stats := s.opts.Bridge.Stats()
	m := &metrics{server: s, refused: prometheus.NewDesc("jetway_refused_total", "Requests of clients that were refused, by error code.", []string{"code"}, nil),
		rejected:        prometheus.NewDesc("jetway_connections_refused_total", "Connections that were not let in, by reason.", []string{"reason"}, nil),
		limited:         prometheus.NewDesc("jetway_limited_total", "Requests of clients that were refused with rate_limited, by limit.", []string{"limit"}, nil),
		failed:          prometheus.NewDesc("jetway_connections_failed_total", "WebSocket connections that ended for what their client sent, or did not send, by reason.", []string{"reason"}, nil),
		unauthenticated: prometheus.NewDesc("jetway_auth_refused_total", "Tokens that were refused, or missing, and sessions that ended for their token, by reason.", []string{"reason"}, nil)}
	m.gauge("jetway_clients", "Clients connected now.", stats.Clients.Load)
	m.gauge("jetway_subscriptions", "Subscriptions of connected clients.", stats.Subscriptions.Load)
	m.counter("jetway_events_received_total", "Events received from the streams.", stats.Received.Load)
	m.counter("jetway_events_published_total", "Messages stored for clients.", stats.Published.Load)
	m.counter("jetway_events_delivered_total", "Events written to clients.", stats.Delivered.Load)
	m.counter("jetway_fell_behind_total", "Times that a subscription was too slow for live delivery and went on by catching up.", stats.FellBehind.Load)
	m.counter("jetway_rejoined_total", "Times that a subscription caught up and became live.", stats.Rejoined.Load)
	m.counter("jetway_ring_overruns_total", "Times that a part of the hub was overtaken by the ring; raise log.max_messages if it grows.", stats.Overruns.Load)
	m.counter("jetway_gaps_total", "Gaps told to clients: messages they wanted no longer exist.", stats.Gaps.Load)
	m.counter("jetway_takeovers_total", "Durables taken over by another client.", stats.Takeovers.Load)
	m.counter("jetway_history_scanned_total", "Messages read by shared scans of history.", stats.Scanned.Load)
	m.counter("jetway_history_narrow_total", "Messages read from history for single subscriptions.", stats.Narrow.Load)
	m.counter("jetway_history_reclaimed_total", "Events read from history for clients that did not take them in time, to be read again.", stats.Reclaimed.Load)
	m.counter("jetway_core_dropped_total", "Live-only events dropped because their client was too slow.", stats.DroppedCore.Load)
	m.gauge("jetway_workers", "Work on queues that connected clients do.", stats.Workers.Load)
	m.gauge("jetway_leases", "Jobs that workers hold.", stats.Leases.Load)
	m.counter("jetway_jobs_given_total", "Times that a job was given to a worker.", stats.JobsGiven.Load)
	m.counter("jetway_jobs_done_total", "Jobs that were acked.", stats.JobsDone.Load)
	m.counter("jetway_jobs_retried_total", "Times that a job went back to its queue after a try.", stats.JobsRetried.Load)
	m.counter("jetway_jobs_bounced_total", "Times that a job went back because no worker of this gateway had room for it.", stats.JobsBounced.Load)
	m.counter("jetway_jobs_dead_total", "Jobs that became dead letters.", stats.JobsDead.Load)
	m.counter("jetway_leases_lost_total", "Leases that ended because their worker neither settled nor extended them in time.", stats.LeasesLost.Load)
	m.counter("jetway_sessions_taken_total", "Sessions that another socket of their client has resumed.", stats.SessionsTaken.Load)
	m.counter("jetway_requests_total", "Requests of clients to services.", stats.Requests.Load)
	m.gauge("jetway_sockets", "Open connections to the listener for clients.", func() int64 { n, _ := s.sockets.count(); return int64(n) })
	m.counter("jetway_accept_errors_total", "Times that a connection could not be accepted, mostly for want of file descriptors.", s.sockets.failed.Load)
	m.counter("jetway_too_fast_total", "Clients that were closed because they went on however often they were refused.", s.quotas.TooFast.Load)
	m.counter("jetway_frames_written_total", "WebSocket frames written.", s.wire.Frames.Load)
	m.counter("jetway_writes_total", "System calls that wrote them.", s.wire.Writes.Load)
	m.counter("jetway_written_bytes_total", "Bytes written to clients.", s.wire.Bytes.Load)
	return m
}

// metrics reads counters when asked, so that counting costs nothing more.
type metrics struct {
	server   *Server
	plain    []plainMetric
	refused  *prometheus.Desc
	rejected *prometheus.Desc
	limited  *prometheus.Desc
	failed   *prometheus.Desc

	unauthenticated *prometheus.Desc
}

type plainMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	load func() float64
}

func (m *metrics) gauge(name, help string, load func() int64) {
	m.plain = append(m.plain, plainMetric{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, func() float64 { return float64(load()) }})
}

func (m *metrics) counter(name, help string, load func() uint64) {
	m.plain = append(m.plain, plainMetric{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, func() float64 { return float64(load()) }})
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, p := range m.plain {
		ch <- p.desc
	}
	ch <- m.refused
	ch <- m.rejected
	ch <- m.limited
	ch <- m.failed
	ch <- m.unauthenticated
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, p := range m.plain {
		ch <- prometheus.MustNewConstMetric(p.desc, p.kind, p.load())
	}
	m.server.opts.Bridge.Stats().Refused.Each(func(code bridge.Code, n uint64) {
		ch <- prometheus.MustNewConstMetric(m.refused, prometheus.CounterValue, float64(n), string(code))
	})
	m.server.opts.Bridge.Stats().Limited.Each(func(limit bridge.Limit, n uint64) {
		ch <- prometheus.MustNewConstMetric(m.limited, prometheus.CounterValue, float64(n), string(limit))
	})
	for i, why := range refusals {
		ch <- prometheus.MustNewConstMetric(m.rejected, prometheus.CounterValue, float64(m.server.refused[i].Load()), string(why))
	}
	m.server.wire.EachFailure(func(why string, n uint64) {
		ch <- prometheus.MustNewConstMetric(m.failed, prometheus.CounterValue, float64(n), why)
	})
	for why, n := range m.server.unauthenticated {
		ch <- prometheus.MustNewConstMetric(m.unauthenticated, prometheus.CounterValue, float64(n.Load()), string(why))
	}
}
