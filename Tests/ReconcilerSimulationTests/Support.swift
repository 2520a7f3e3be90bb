import InternetAddress
import Reconciler
import StackModel

/// Sebastiano Vigna's SplitMix64: small, and the same sequence for the same seed everywhere.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 0 up to `bound`, without it. The small bias does no harm here.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }

    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    mutating func pick<Value>(_ values: [Value]) -> Value? {
        values.isEmpty ? nil : values[below(values.count)]
    }

    /// Nanoseconds from `low` to `high`.
    mutating func time(_ low: Int64, _ high: Int64) -> Int64 { low + Int64(next() % UInt64(max(1, high - low + 1))) }
}

let second: Int64 = 1_000_000_000
let millisecond: Int64 = 1_000_000

/// What a container does once it is started. Times are nanoseconds.
struct Script: Hashable, Sendable {
    enum Fate: Hashable, Sendable {
        case serves
        /// Ends so long after its start.
        case ends(code: Int, after: Int64)
        /// Runs, and its healthcheck fails.
        case unhealthy
        /// Runs, and nothing ever listens.
        case hangs
        /// Serves, is unhealthy for a while from then on, and serves again.
        case flaky(after: Int64)
        /// Serves if it was started before that moment of the simulation, and ends with 1 soon otherwise.
        case servesUntil(Int64)
        /// The program cannot be started at all.
        case unstartable
    }

    var isFlaky: Bool {
        if case .flaky = fate { return true }
        return false
    }

    /// From the start until it serves.
    var boot: Int64 = 0
    var fate = Fate.serves
    /// From SIGTERM to its end; more than the grace period: it ignores the signal.
    var stop: Int64 = millisecond
}

/// The rules that hold at every moment; docs/reconciler.md says each in a line.
enum Property: String, CaseIterable, Sendable {
    case availability, surge, noRequestRefused, noRequestCutOff, singleWriter, ownObjectsOnly, dataKept
    case rollbackOnce, rollbackTarget, healthyUntouched, determinism, idempotence, convergence, noOrphans
    case dependencyOrder, stopOrder, stableMeansReached, truthfulOutcome, uniqueNames, networkInUse
}

struct Violation: Equatable, Sendable, CustomStringConvertible {
    var property: Property
    var detail: String
    /// Nanoseconds of the simulation.
    var at: Int64

    var description: String { "[\(property.rawValue)] \(detail) (at \(Double(at / millisecond) / 1000) s)" }
}

extension DesiredState {
    private func config(_ name: String) -> UpdateConfig? {
        let deploy = stack.services[name]?.deploy
        return isRollback ? deploy?.rollback ?? deploy?.update : deploy?.update
    }

    /// A successor serves before its predecessor is stopped.
    func startsFirst(_ name: String) -> Bool {
        guard let service = stack.services[name] else { return false }
        if let order = config(name)?.order { return order == .startFirst }
        let isShared = stack.services.values.contains { $0.networkMode == "service:\(name)" }
        let isExclusive = service.networkMode != nil || service.mounts.contains { !$0.readOnly }
        return !isShared && !isExclusive && service.isWatched
    }

    func parallelism(_ name: String) -> Int {
        let wanted = config(name)?.parallelism ?? 1
        return wanted <= 0 ? Int.max / 2 : wanted
    }
}

extension Service {
    /// Two replicas of one number cannot be there at a time.
    var isExclusive: Bool {
        let orders = [deploy?.update?.order, deploy?.rollback?.order]
        return mounts.contains { !$0.readOnly } && !orders.contains(.startFirst)
    }

    /// Its rollouts go on although a replica failed.
    var toleratesFailures: Bool {
        [deploy?.update, deploy?.rollback].contains {
            $0?.failureAction == .continue || ($0?.failureRatioMax ?? 0) > 0
        }
    }

    /// Something tells when a replica is ready.
    var isWatched: Bool { healthcheck != nil || ports.contains { $0.transport == .tcp } }
}
