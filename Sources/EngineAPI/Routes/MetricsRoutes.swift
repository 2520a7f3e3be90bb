import Engine
import Metrics

/// `GET /metrics`.
struct MetricsRoutes {
    let engine: Engine
    let version: String
    /// Of the API, whichever server answers.
    let meter: RequestMeter

    func add(to router: inout Router) {
        router.on("GET", "/metrics") { [engine, version, meter] _, _ in
            let text = await engine.metrics(version: version) { meter.write(to: &$0) }
            return .full(status: 200, headers: ["Content-Type": MetricsText.contentType], body: text.bytes)
        }
    }
}
