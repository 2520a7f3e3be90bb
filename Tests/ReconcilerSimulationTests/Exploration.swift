import Reconciler
import StackModel

/// A small stack in every order in which things can happen: breadth first over all states, each visited once. There is
/// no time in it: what takes time is over at any later moment.
struct Exploration: Sendable {
    /// One state: the machine, the engine's work, and what may still go wrong.
    struct State: Sendable {
        var machine: Machine
        var monitor = Monitor()
        var work: Convergence?
        /// Steps under way, and the next effect of each.
        var operations: [Int: Int] = [:]
        var observed = ObservedState()
        var isWaiting = false
        /// Something happened that the loop has not looked at.
        var hasNews = false
        /// The command has ended, or its engine has.
        var isCommandOver = false
        var crashesLeft: Int
        var accidentsLeft: Int
        /// How it came about, for a failure.
        var path: [String] = []
    }

    enum Move: Sendable {
        case effect(step: Int)
        case ready(id: String)
        case fail(id: String)
        case look
        case crash
        case kill(id: String)
        case delete(id: String)
        case breakBridge(String)
        case breakRules
    }

    let desired: DesiredState
    /// Image ids whose containers end with 1.
    var broken: Set<String> = []

    private(set) var visited: Set<String> = []
    private(set) var failures: [String] = []
    /// States in which nothing is left to do.
    private(set) var ends = 0

    init(_ desired: DesiredState, broken: Set<String> = []) {
        self.desired = desired
        self.broken = broken
    }

    /// Explores from `machine`, which the command is about to change.
    mutating func explore(from machine: Machine, crashes: Int, accidents: Int, statesMax: Int) {
        var first = State(machine: machine, crashesLeft: crashes, accidentsLeft: accidents)
        begin(.reach(desired), &first)
        var queue = [first]
        visited = [key(first)]
        var next = 0
        while next < queue.count, failures.count < 3, visited.count < statesMax {
            let state = queue[next]
            queue[next] = State(machine: Machine(), crashesLeft: 0, accidentsLeft: 0)
            next += 1
            var isEnd = true
            for move in moves(state) {
                var after = state
                after.path.append("\(move)")
                if !move.isFault { isEnd = false }
                apply(move, &after)
                if let violation = after.monitor.violations.first {
                    failures.append("\(violation) by \(after.path.joined(separator: ", "))")
                    continue
                }
                if visited.insert(key(after)).inserted { queue.append(after) }
            }
            if isEnd { checkEnd(state) }
        }
        if visited.count >= statesMax { failures.append("more than \(statesMax) states") }
    }

    private mutating func checkEnd(_ state: State) {
        ends += 1
        guard let desired = state.machine.desired() else { return }
        let plan = plan(desired: desired, observed: state.machine.seen(), now: state.machine.now)
        let isPaused = !plan.failedRollouts.isEmpty
        if !plan.isEmpty, !isPaused { fail(state, "left undone: \(plan.steps.map { "\($0.action)" })") }
        if !isPaused, !state.isCommandOver { fail(state, "the command never ends") }
        guard !isPaused else { return }
        for (name, service) in desired.stack.services {
            let own = state.machine.containers.filter { $0.service == name }
            let good = own.filter {
                $0.isAlive && $0.isListening && $0.definition.imageID == desired.imageIDs[name]
                    && !$0.name.hasSuffix("-next")
            }
            if good.count != service.replicas || own.count != good.count {
                fail(state, "\(name): \(good.count) of \(service.replicas), \(own.count) are there")
            }
        }
    }

    private mutating func fail(_ state: State, _ what: String) {
        failures.append("\(what) by \(state.path.joined(separator: ", "))")
    }

    // MARK: Moves

    private func moves(_ state: State) -> [Move] {
        var moves = state.operations.keys.sorted().map { Move.effect(step: $0) }
        if state.work == nil, state.hasNews { moves.append(.look) }
        for instance in state.machine.containers where instance.isAlive {
            if broken.contains(instance.definition.imageID) {
                moves.append(.fail(id: instance.id))
            } else if !instance.isListening {
                moves.append(.ready(id: instance.id))
            }
        }
        if state.crashesLeft > 0 { moves.append(.crash) }
        guard state.accidentsLeft > 0 else { return moves }
        for instance in state.machine.containers {
            if instance.isAlive { moves.append(.kill(id: instance.id)) }
            moves.append(.delete(id: instance.id))
        }
        for (name, net) in state.machine.networks.sorted(by: { $0.key < $1.key }) where net.hasBridge {
            moves.append(.breakBridge(name))
        }
        if state.machine.isFirewallWhole { moves.append(.breakRules) }
        return moves
    }

    private func apply(_ move: Move, _ state: inout State) {
        switch move {
        case .effect(let step): performEffect(step, &state)
        case .look: if let desired = state.machine.desired() { begin(.keep(desired), &state) }
        case .ready(let id):
            guard let index = state.machine.index(id) else { return }
            state.machine.containers[index].isListening = true
            if state.machine.containers[index].health == .starting { state.machine.containers[index].health = .healthy }
            state.machine.containers[index].silent = false
            state.machine.refresh()
            tell(&state)
        case .fail(let id), .kill(let id):
            if move.isFault { state.accidentsLeft -= 1 }
            guard let index = state.machine.index(id) else { return }
            end(index, code: 1, &state)
            tell(&state)
        case .crash:
            state.crashesLeft -= 1
            (state.work, state.operations, state.isWaiting) = (nil, [:], false)
            state.isCommandOver = true
            state.machine.loseMemory()
            state.machine.adopt()
            for index in state.machine.containers.indices where state.machine.containers[index].wasStopped {
                // What was told to stop ends, whoever waits for it.
                if state.machine.containers[index].isAlive { end(index, code: 143, &state) }
            }
            state.hasNews = true
        case .delete(let id):
            state.accidentsLeft -= 1
            guard let index = state.machine.index(id) else { return }
            if state.machine.containers[index].isAlive { state.machine.end(index, code: 137) }
            state.machine.containers.remove(at: index)
            state.machine.refresh()
            tell(&state)
        case .breakBridge(let name):
            state.accidentsLeft -= 1
            state.machine.networks[name]?.hasBridge = false
            tell(&state)
        case .breakRules:
            state.accidentsLeft -= 1
            state.machine.isFirewallWhole = false
            tell(&state)
        }
    }

    /// It ended two minutes ago, so that no back-off is waited for.
    private func end(_ index: Int, code: Int, _ state: inout State) {
        guard state.machine.containers[index].isAlive else { return }
        state.machine.end(index, code: code)
        state.machine.containers[index].finishedAt = state.machine.now - 120 * second
        state.machine.containers[index].startedAt = state.machine.now - 120 * second
        // Counted up to where it makes a difference.
        state.machine.containers[index].restarts = min(3, state.machine.containers[index].restarts)
        state.machine.learnEnd(state.machine.containers[index].id)
    }

    // MARK: The engine

    private func begin(_ work: Work, _ state: inout State) {
        state.hasNews = false
        state.monitor.beginWork(state.machine)
        state.work = Convergence(work, history: state.machine.history())
        feed(.began, &state)
    }

    private func tell(_ state: inout State) {
        state.hasNews = true
        guard state.work != nil, state.isWaiting else { return }
        state.isWaiting = false
        state.hasNews = false
        feed(.news, &state)
    }

    private func feed(_ first: Convergence.Event, _ state: inout State) {
        var events = [first]
        while !events.isEmpty {
            guard let commands = state.work?.step(events.removeFirst()) else { return }
            for command in commands {
                switch command {
                case .observe, .look:
                    state.observed = state.machine.observed()
                    events.append(.observed(state.observed, now: state.machine.now))
                case .perform(let step):
                    guard let work = state.work?.work else { return }
                    state.monitor.check(step, of: work, seen: state.observed, state.machine)
                    state.operations[step.id] = 0
                case .wait: state.isWaiting = true
                case .saveStable:
                    let index = state.machine.revisions.firstIndex { $0.number == state.machine.record?.revision }
                    if let index { state.machine.revisions[index].isStable = true }
                case .returnTo(let number): events.append(returnTo(number, &state))
                case .begin, .wake, .warn: continue
                case .finish:
                    if case .reach = state.work?.work { state.isCommandOver = true }
                    state.work = nil
                    // The loop looks once after a command.
                    if state.isCommandOver, !state.hasNews {
                        state.hasNews = state.machine.changesSinceLook(state.observed)
                    }
                }
            }
        }
    }

    private func returnTo(_ number: Int, _ state: inout State) -> Convergence.Event {
        state.monitor.expect(
            state.machine.record?.isRollback == false, .rollbackOnce, "a rollback is rolled back", state.machine)
        guard let revision = state.machine.revisions.first(where: { $0.number == number }),
            var record = state.machine.record
        else { return .notReturned(Diagnostic(code: "rollback.failed", "no such revision")) }
        state.monitor.expect(revision.isStable, .rollbackTarget, "revision \(number) never worked", state.machine)
        (record.stack, record.imageIDs, record.isRollback) = (revision.stack, revision.imageIDs, true)
        record.revision = (state.machine.revisions.last?.number ?? 0) + 1
        state.machine.revisions.append(
            Revision(number: record.revision, stack: revision.stack, imageIDs: revision.imageIDs))
        state.machine.record = record
        state.hasNews = true
        return .wanted(state.machine.desired() ?? desired, state.machine.history())
    }

    private func performEffect(_ id: Int, _ state: inout State) {
        guard let next = state.operations[id], let step = state.work?.plan.steps.first(where: { $0.id == id }) else {
            return
        }
        let effects = step.action.effects
        var failures: [Diagnostic] = []
        if next < effects.count {
            do throws(EffectFailure) { try state.machine.apply(effects[next], of: step) } catch {
                failures = [Diagnostic(code: "step.failed", error.text)]
            }
            if case .signal(let id, _) = effects[next], let index = state.machine.index(id) {
                end(index, code: 143, &state)
            }
            state.hasNews = true
            if failures.isEmpty {
                state.operations[id] = next + 1
                guard next + 1 == effects.count else { return }
            }
        }
        state.operations[id] = nil
        state.monitor.end(step)
        feed(.ended(step: id, failures: failures), &state)
    }

    // MARK: One state, one key

    private func key(_ state: State) -> String {
        var key =
            "\(state.crashesLeft) \(state.accidentsLeft) \(state.isCommandOver) \(state.hasNews) \(state.isWaiting)"
        let record = state.machine.record
        key += " \(record?.revision ?? 0) \(record?.isRollback ?? false)"
        key += state.machine.revisions.map { $0.isStable ? "s" : "u" }.joined()
        for instance in state.machine.containers.sorted(by: { ($0.name, $0.id) < ($1.name, $1.id) }) {
            key += "|\(instance.name) \(instance.definition.imageID) \(instance.hasObject) \(instance.isAlive)"
            key += " \(instance.seemsAlive) \(instance.isListening) \(instance.health.rawValue) \(instance.silent)"
            key += " \(instance.stopping) \(instance.wasStopped) \(instance.startedAt ?? 0) \(instance.finishedAt ?? 0)"
            key += " \(instance.exitCode ?? -1) \(instance.restarts) \(instance.plugged.count)"
            key += " \(instance.readySince ?? 0) \(instance.stoppedByUser)"
        }
        for (name, net) in state.machine.networks.sorted(by: { $0.key < $1.key }) { key += "|\(name) \(net.hasBridge)" }
        key += " \(state.machine.isFirewallWhole)"
        if let work = state.work {
            key +=
                "|"
                + work.plan.steps.map { "\($0.name) \(Self.kind($0.action)) \($0.after.count)" }.joined(separator: ",")
            key += " \(work.done.sorted()) \(work.begun.sorted())"
            key += state.operations.sorted { $0.key < $1.key }.map { " \($0.key):\($0.value)" }.joined()
            key += state.observed.containers.filter(\.isReady).map(\.name).sorted().joined(separator: ",")
        }
        return key
    }

    private static func kind(_ action: Action) -> String {
        switch action {
        case .createContainer: "create"
        case .startContainer: "start"
        case .stopContainer: "stop"
        case .removeContainer: "remove"
        case .renameContainer: "rename"
        case .restartContainer: "restart"
        case .awaitReplica: "await"
        default: "other"
        }
    }
}

extension Exploration.Move {
    /// It may happen, and need not.
    var isFault: Bool {
        switch self {
        case .crash, .kill, .delete, .breakBridge, .breakRules: true
        case .effect, .ready, .fail, .look: false
        }
    }
}

extension Machine {
    /// What is to be seen differs from what was seen.
    func changesSinceLook(_ seen: ObservedState) -> Bool { self.seen() != seen }
}
