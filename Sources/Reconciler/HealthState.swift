import StackModel

/// The health of one container, from its probes: `starting` until a probe succeeds, `unhealthy` after `retries`
/// failures in a row. A failure of a probe that began within the start period does not count until one has succeeded.
/// As `daemon/health.go` of the Docker Engine does it, but with eager probes before the first regular one.
///
/// Event in, actions out. The engine runs the probes and the timer.
public struct HealthState: Equatable, Sendable {
    /// Durations are nanoseconds.
    public struct Parameters: Equatable, Sendable {
        public var interval: Int64 = 30_000_000_000
        public var timeout: Int64 = 30_000_000_000
        public var retries: Int = 3
        public var startPeriod: Int64 = 0
        /// Between probes in the start period.
        public var startInterval: Int64 = 5_000_000_000

        public init() {}

        /// What the service says, else what the image says, else the defaults; zero is "not said".
        public init(_ service: Healthcheck?, image: Healthcheck? = nil) {
            func first<Value: Comparable & ExpressibleByIntegerLiteral>(_ values: Value?...) -> Value? {
                values.compactMap { $0 }.first { $0 > 0 }
            }
            interval = first(service?.interval, image?.interval) ?? interval
            timeout = first(service?.timeout, image?.timeout) ?? timeout
            retries = first(service?.retries, image?.retries) ?? retries
            startPeriod = first(service?.startPeriod, image?.startPeriod) ?? startPeriod
            startInterval = first(service?.startInterval, image?.startInterval) ?? startInterval
        }
    }

    /// Times are nanoseconds of one clock that does not jump.
    public enum Event: Equatable, Sendable {
        case containerStarted(at: Int64)
        /// One that runs already, and had this health when an engine looked last.
        case containerFound(ContainerHealth, at: Int64)
        case containerStopped
        /// The timer asked for by `wake` fired; early and late ones do no harm.
        case timer(at: Int64)
        /// `probe` is the number from `startProbe`. One that could not be run counts as failed.
        case probeEnded(probe: Int, succeeded: Bool, at: Int64)
    }

    public enum Action: Equatable, Sendable {
        /// Send `timer` then; replaces an earlier `wake`.
        case wake(at: Int64)
        case startProbe(probe: Int)
        /// It took too long: kill it. Its end is not reported any more.
        case abortProbe(probe: Int)
        case changed(ContainerHealth)
    }

    private static let eagerDelayFirst: Int64 = 100_000_000

    private enum Phase: Equatable {
        case stopped
        case waiting(until: Int64)
        case probing(since: Int64)
    }

    public let parameters: Parameters
    public private(set) var health: ContainerHealth = .starting
    /// Counted failures in a row.
    public private(set) var failures = 0
    private var phase = Phase.stopped
    private var startedAt: Int64 = 0
    /// Until the next probe before `firstRegularProbe`; twice as long each time.
    private var eagerDelay = eagerDelayFirst
    private var probe = 0

    public init(parameters: Parameters) { self.parameters = parameters }

    public mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .containerStarted(let time):
            let aborted = abort()
            (health, failures, startedAt, eagerDelay) = (.starting, 0, time, Self.eagerDelayFirst)
            return aborted + [.changed(.starting), wait(from: time)]
        case .containerFound(let known, let time):
            let aborted = abort()
            (health, failures, startedAt, eagerDelay) = (known, 0, time, Self.eagerDelayFirst)
            phase = .waiting(until: time)
            return aborted + [.changed(known), .wake(at: time)]
        case .containerStopped:
            let aborted = abort()
            phase = .stopped
            return aborted
        case .timer(let time):
            return tick(time)
        case .probeEnded(let number, let succeeded, let time):
            guard case .probing(let since) = phase, number == probe else { return [] }
            return record(succeeded, began: since) + [wait(from: time)]
        }
    }

    private mutating func tick(_ time: Int64) -> [Action] {
        switch phase {
        case .stopped: return []
        case .waiting(let until):
            guard time >= until else { return [.wake(at: until)] }
            probe += 1
            phase = .probing(since: time)
            return [.startProbe(probe: probe), .wake(at: Self.sum(time, parameters.timeout))]
        case .probing(let since):
            let deadline = Self.sum(since, parameters.timeout)
            guard time >= deadline else { return [.wake(at: deadline)] }
            let aborted = abort()
            return aborted + record(false, began: since) + [wait(from: time)]
        }
    }

    private mutating func wait(from time: Int64) -> Action {
        let usesStartInterval = health == .starting && isInStartPeriod(time)
        let regular = usesStartInterval ? parameters.startInterval : parameters.interval
        var until = Self.sum(time, regular)
        if health == .starting, time < firstRegularProbe {
            until = min(until, Self.sum(time, eagerDelay), firstRegularProbe)
            eagerDelay = Self.sum(eagerDelay, eagerDelay)
        }
        phase = .waiting(until: until)
        return .wake(at: until)
    }

    /// When the Docker Engine would probe for the first time. Probes before it can only find the container healthy:
    /// one that is up in a moment is not kept waiting, and none is called unhealthy sooner.
    private var firstRegularProbe: Int64 {
        Self.sum(startedAt, parameters.startPeriod > 0 ? parameters.startInterval : parameters.interval)
    }

    private func abort() -> [Action] {
        if case .probing = phase { return [.abortProbe(probe: probe)] }
        return []
    }

    private mutating func record(_ succeeded: Bool, began: Int64) -> [Action] {
        let before = health
        if succeeded {
            (health, failures) = (.healthy, 0)
        } else if !(health == .starting && (isInStartPeriod(began) || began < firstRegularProbe)) {
            failures += 1
            if failures >= parameters.retries { health = .unhealthy }
        }
        return health == before ? [] : [.changed(health)]
    }

    private func isInStartPeriod(_ time: Int64) -> Bool { time < Self.sum(startedAt, parameters.startPeriod) }

    private static func sum(_ time: Int64, _ duration: Int64) -> Int64 {
        let (sum, overflow) = time.addingReportingOverflow(duration)
        return overflow ? Int64.max : sum
    }
}
