import Metrics
import Synchronization

/// Counts requests by the pattern of their route, so that there are never more numbers than routes. One a server.
public final class RequestMeter: Sendable {
    private struct Route: Hashable {
        var method: String
        var pattern: String
    }

    private struct Figures {
        /// By status.
        var counts: [Int: UInt64] = [:]
        var duration = Histogram(bounds: Histogram.answerSeconds)
    }

    private struct State {
        var routes: [Route: Figures] = [:]
        var connections = 0
    }

    /// What has no route, whatever it asked for.
    private static let unmatched = Route(method: "other", pattern: "unmatched")

    private let state = Mutex(State())

    public init() {}

    /// - Parameters:
    ///   - pattern: `nil` when no route serves the request.
    ///   - seconds: up to the answer; up to its head when it is a stream.
    func note(_ method: String, _ pattern: String?, status: Int, seconds: Double) {
        let route = pattern.map { Route(method: method, pattern: $0) } ?? Self.unmatched
        state.withLock { state in
            state.routes[route, default: Figures()].counts[status, default: 0] += 1
            state.routes[route]?.duration.observe(seconds)
        }
    }

    func connectionOpened() { state.withLock { $0.connections += 1 } }

    func connectionClosed() { state.withLock { $0.connections -= 1 } }

    public func write(to text: inout MetricsText) {
        let state = state.withLock { $0 }
        let routes = state.routes.sorted { ($0.key.pattern, $0.key.method) < ($1.key.pattern, $1.key.method) }
            .map { (labels: MetricLabels(["route": $0.key.pattern, "method": $0.key.method]), figures: $0.value) }
        text.gauge("gantry_api_connections", "Connections of clients.", state.connections)
        text.begin("gantry_api_requests_total", .counter, "Requests by route and status of the answer.")
        for (labels, figures) in routes {
            for (status, count) in figures.counts.sorted(by: { $0.key < $1.key }) {
                text.add(count, labels.adding("code", String(status)))
            }
        }
        text.begin(
            "gantry_api_request_duration_seconds", .histogram,
            "From a request's head to its answer, or to the answer's head when that is a stream.")
        for (labels, figures) in routes { text.add(figures.duration, labels) }
    }
}
