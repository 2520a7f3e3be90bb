import Reconciler
import StackModel

/// What a user asks for.
enum Intent: Equatable, Sendable {
    /// `up` with this version of the stack; `timeout` in nanoseconds.
    case apply(variant: Int, timeout: Int64? = nil)
    case rollback
    case down(volumes: Bool)
    case stop(service: String)
    case start
    case restart(service: String)
}

/// A version of the stack: what its services are, and what their tags lead to.
struct Variant: Sendable {
    var stack: Stack
    var imageIDs: [String: String]
}

/// The core at work on a simulated machine: a virtual clock, a queue of what is due, an engine that carries out what
/// the core says, and users. The same scenario always runs the same way.
struct Simulation: Sendable {
    enum Due: Sendable {
        case effect(epoch: Int, work: Int, step: Int)
        case answer(epoch: Int, work: Int, isStale: Bool)
        case news(epoch: Int)
        case intent(Intent)
        case pulled(epoch: Int, Intent, fails: Bool)
        case accident(Accident)
        case engineStart(epoch: Int)
        /// Of a run of a container.
        case life(id: String, run: Int, Life)
    }

    enum Life: Sendable {
        case listens, healthy, unhealthy, sickens, recovers, quietlyReady
        case ends(code: Int)
        case endKnown
    }

    struct Operation: Sendable {
        var step: Step
        var effects: [Effect]
        var next = 0
        /// It waits for this container's end.
        var awaiting: String?
        var fault: OperationFault?
    }

    struct Running: Sendable {
        var number: Int
        var convergence: Convergence
        var intent: Intent?
        var seen = 0
        var isWaiting = false
        var operations: [Int: Operation] = [:]
        var observed = ObservedState()
        var since: Int64
    }

    var machine = Machine()
    var monitor = Monitor()
    var scenario: Scenario
    var random: SplitMix64
    var queue = EventQueue()
    /// Ways in which the core is broken; see `Mutant`.
    var mutant: Mutant?

    var isUp = true
    var epoch = 0
    var workCount = 0
    var running: Running?
    var waitingIntents: [Intent] = []
    var isPulling = false
    var changes = 0
    var loopSeen = -1
    var lastLook = ObservedState()
    var outcomes: [(intent: Intent?, outcome: Convergence.Outcome)] = []

    // What has been counted, so that a fault can name its moment.
    var effectCount = 0
    var operationCount = 0
    var newsCount = 0
    var lookCount = 0
    var pullCount = 0
    var eventCount = 0
    /// Operations in the order in which they began.
    var trace: [Step] = []
    /// Faults may strike.
    var isRough = true
    /// Prints what happens.
    var isLoud = false

    init(_ scenario: Scenario, mutant: Mutant? = nil) {
        self.scenario = scenario
        self.mutant = mutant
        random = SplitMix64(seed: scenario.seed ^ 0xC0FFEE)
        machine.scripts = scenario.scripts
        machine.images = scenario.images
        for happening in scenario.happenings {
            switch happening {
            case .intent(let at, let intent): queue.add(.intent(intent), at: at)
            case .accident(let at, let accident): queue.add(.accident(accident), at: at)
            default: continue
            }
        }
    }

    func log(_ text: @autoclosure () -> String) {
        if isLoud { print("\(Double(machine.clock / millisecond) / 1000) \(text())") }
    }

    // MARK: Time

    /// More than any run takes in which the engine comes to rest.
    private static let eventsMax = 60_000

    /// Runs until nobody has anything to do any more, at most until `end` (nanoseconds) or until `isEnough`.
    mutating func settle(until end: Int64, isEnough: (Simulation) -> Bool = { _ in false }) {
        while monitor.violations.isEmpty, !isEnough(self), let due = queue.pop(before: end) {
            machine.clock = max(machine.clock, due.at)
            eventCount += 1
            guard eventCount < Self.eventsMax else {
                monitor.note(.convergence, "the engine never comes to rest; last: \(trace.suffix(3))", machine)
                return
            }
            handle(due.due)
            monitor.checkRequests(machine, isGuarded: isGuarded)
        }
    }

    /// Runs until `end`, whether there is anything to do or not.
    mutating func run(until end: Int64) {
        settle(until: end)
        machine.clock = max(machine.clock, end)
    }

    private var isGuarded: Bool {
        guard isUp, let running else { return isUp }
        switch running.convergence.work {
        case .reach, .keep: return true
        default: return false
        }
    }

    private mutating func handle(_ due: Due) {
        switch due {
        case .effect(let epoch, let work, let step):
            guard epoch == self.epoch, work == running?.number else { return }
            nextEffect(of: step)
        case .answer(let epoch, let work, let isStale):
            guard epoch == self.epoch, work == running?.number else { return }
            answer(isStale: isStale)
        case .news(let epoch): if epoch == self.epoch, isUp { noteChange() }
        case .intent(let intent): want(intent)
        case .pulled(let epoch, let intent, let fails):
            guard epoch == self.epoch else { return }
            pulled(intent, fails: fails)
        case .accident(let accident): happen(accident)
        case .engineStart(let epoch): if epoch == self.epoch { startEngine() }
        case .life(let id, let run, let life): live(id, run, life)
        }
    }

    // MARK: News

    /// News on its way to the engine: it may come twice, late or not at all.
    mutating func tell() {
        guard isUp else { return }
        newsCount += 1
        switch isRough ? scenario.newsFault(newsCount) : nil {
        case .lost: monitor.count("news lost")
        case .double:
            noteChange()
            queue.add(.news(epoch: epoch), at: machine.clock + millisecond)
        case .late(let delay): queue.add(.news(epoch: epoch), at: machine.clock + delay)
        case nil: noteChange()
        }
    }

    mutating func noteChange() {
        changes += 1
        pump()
    }

    /// Goes on with whatever there is to do.
    mutating func pump() {
        guard isUp, !isPulling else { return }
        if let running {
            guard running.isWaiting, running.seen != changes else { return }
            self.running?.isWaiting = false
            feed(.news)
        } else if !waitingIntents.isEmpty {
            begin(waitingIntents.removeFirst())
        } else if machine.record?.isActive == true, loopSeen != changes, let desired = machine.desired() {
            loopSeen = changes
            begin(.keep(desired), intent: nil)
        }
    }

    // MARK: Users

    private mutating func want(_ intent: Intent) {
        // Without an engine the command fails at once; its user tries again when there is one.
        guard isUp else { return queue.add(.intent(intent), at: machine.clock + second) }
        waitingIntents.append(intent)
        pump()
    }

    private mutating func begin(_ intent: Intent) {
        log("begin \(intent)")
        switch intent {
        case .apply:
            pullCount += 1
            isPulling = true
            let fault = isRough ? scenario.pullFault(pullCount) : nil
            let time = fault == .slow ? 120 * second : random.time(millisecond, 200 * millisecond)
            queue.add(.pulled(epoch: epoch, intent, fails: fault == .fails), at: machine.clock + time)
        case .rollback:
            guard let target = rollbackTarget() else { return refuse(intent) }
            guard returnTo(target), let desired = machine.desired() else { return refuse(intent) }
            begin(.reach(desired), intent: intent)
        case .down(let volumes):
            guard let record = machine.record else { return refuse(intent) }
            machine.record?.isActive = false
            monitor.forgetServed()
            begin(
                .down(Work.Down(stack: record.stack, removeVolumes: volumes, removeOrphans: true)), intent: intent)
        case .stop(let service):
            guard machine.record?.stack.services[service] != nil else { return refuse(intent) }
            machine.record?.stopped.insert(service)
            monitor.trouble(service)
            begin(.stop(services: [service], timeout: nil), intent: intent)
        case .start:
            guard machine.record?.isActive == true else { return refuse(intent) }
            machine.record?.stopped = []
            begin(.start(services: []), intent: intent)
        case .restart(let service):
            guard machine.record?.stack.services[service] != nil else { return refuse(intent) }
            machine.record?.stopped.remove(service)
            for name in machine.record?.stack.services.keys.sorted() ?? [] { monitor.trouble(name) }
            begin(.restart(services: [service], timeout: nil), intent: intent)
        }
    }

    private mutating func refuse(_ intent: Intent) {
        outcomes.append((intent, .failed([Diagnostic(code: "refused", "nothing to do it to")])))
        pump()
    }

    private mutating func pulled(_ intent: Intent, fails: Bool) {
        isPulling = false
        guard case .apply(let variant, let timeout) = intent, scenario.variants.indices.contains(variant) else {
            return
        }
        guard !fails else {
            monitor.count("pull failed")
            outcomes.append((intent, .failed([Diagnostic(code: "image.failed", "no such image")])))
            return noteChange()
        }
        save(scenario.variants[variant])
        guard var desired = machine.desired(.apply) else { return }
        desired.since = machine.now
        let deadline = timeout.map { machine.now + $0 }
        begin(.reach(desired), intent: intent, deadline: deadline)
    }

    /// As the engine's `saveRevision`.
    private mutating func save(_ variant: Variant) {
        let old = machine.record
        var record = Record(stack: variant.stack, imageIDs: variant.imageIDs)
        (record.revision, record.changedAt) = (old?.revision ?? 0, old?.changedAt ?? 0)
        for id in variant.imageIDs.values { machine.images.insert(id) }
        let resolved = ResolvedStack(stack: variant.stack, imageIDs: variant.imageIDs, scale: [:])
        let last = machine.revisions.last
        let isSame =
            last.map {
                $0.number == record.revision
                    && ResolvedStack(stack: $0.stack, imageIDs: $0.imageIDs, scale: [:]).isSame(as: resolved)
            } ?? false
        if !isSame {
            record.revision = (last?.number ?? 0) + 1
            record.changedAt = machine.now
            machine.revisions.append(
                Revision(number: record.revision, stack: variant.stack, imageIDs: variant.imageIDs))
        }
        machine.record = record
    }

    private func rollbackTarget() -> Int? {
        do { return try machine.history().rollbackTarget() } catch { return nil }
    }

    /// As the engine's `returnTo`: one transaction.
    mutating func returnTo(_ number: Int) -> Bool {
        guard var record = machine.record, let revision = machine.revisions.first(where: { $0.number == number }),
            revision.imageIDs.values.allSatisfy(machine.images.contains)
        else { return false }
        (record.stack, record.imageIDs, record.isRollback) = (revision.stack, revision.imageIDs, true)
        record.stopped.formIntersection(revision.stack.services.keys)
        record.revision = (machine.revisions.last?.number ?? 0) + 1
        record.changedAt = machine.now
        machine.revisions.append(
            Revision(number: record.revision, stack: revision.stack, imageIDs: revision.imageIDs))
        machine.record = record
        return true
    }
}

/// What is due, by time and then in the order in which it was added.
struct EventQueue: Sendable {
    struct Entry: Sendable {
        var at: Int64
        var order: Int
        var due: Simulation.Due
    }

    private var heap: [Entry] = []
    private var count = 0

    mutating func add(_ due: Simulation.Due, at: Int64) {
        count += 1
        heap.append(Entry(at: at, order: count, due: due))
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop(before end: Int64) -> Entry? {
        guard let first = heap.first, first.at <= end else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            guard least != parent else { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (heap[left].at, heap[left].order) < (heap[right].at, heap[right].order)
    }
}
