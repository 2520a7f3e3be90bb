import Reconciler
import StackModel

/// What somebody or something else does to the machine. Numbers pick one of what is there.
enum Accident: Equatable, Sendable {
    case kill(Int)
    case pause(Int)
    case deleteContainer(Int)
    case deleteInterface(Int)
    case deleteBridge(Int)
    case deleteRules
    case deleteVolume(Int)
    case removeImage(Int)
    case crash
    case reboot
    case clockJump(Int64)
}

/// How an operation goes wrong.
enum OperationFault: Equatable, Sendable { case failsBefore, happenedButTimedOut, okButDidNot, writeFails }

enum NewsFault: Equatable, Sendable { case lost, double, late(Int64) }

enum PullFault: Equatable, Sendable { case fails, slow }

extension Simulation {
    mutating func happen(_ accident: Accident) {
        log("accident \(accident)")
        monitor.count("accident")
        let own = machine.containers.indices.filter { machine.containers[$0].hasRecord }
        func pick(_ number: Int) -> Int? { own.isEmpty ? nil : own[number % own.count] }
        switch accident {
        case .kill(let number):
            guard let index = pick(number), machine.containers[index].isAlive else { return }
            endRun(index, code: 137)
        case .pause(let number):
            guard let index = pick(number), machine.containers[index].isAlive else { return }
            machine.containers[index].isPaused = true
            monitor.trouble(machine.containers[index].service)
            machine.refresh()
        case .deleteContainer(let number):
            guard let index = pick(number) else { return }
            let id = machine.containers[index].id
            monitor.trouble(machine.containers[index].service)
            if machine.containers[index].isAlive { machine.end(index, code: 137) }
            machine.containers[index].seemsAlive = false
            resume(awaiting: id)
            machine.containers.removeAll { $0.id == id }
            machine.refresh()
        case .deleteInterface(let number):
            guard let index = pick(number) else { return }
            machine.containers[index].plugged = []
        case .deleteBridge(let number):
            let names = machine.networks.keys.sorted().filter { $0 != Machine.foreignNetwork }
            guard !names.isEmpty else { return }
            machine.networks[names[number % names.count]]?.hasBridge = false
        case .deleteRules: machine.isFirewallWhole = false
        case .deleteVolume(let number):
            let names = machine.volumes.keys.sorted()
            guard !names.isEmpty else { return }
            machine.volumes[names[number % names.count]] = nil
        case .removeImage(let number):
            let used = Set(machine.record?.imageIDs.values.map { $0 } ?? [])
            let free = machine.images.subtracting(used).sorted()
            guard !free.isEmpty else { return }
            machine.images.remove(free[number % free.count])
        case .crash: return crash("by accident")
        case .reboot:
            monitor.count("reboot")
            for name in machine.record?.stack.services.keys.sorted() ?? [] { monitor.trouble(name) }
            crash("with the machine")
            machine.reboot()
        case .clockJump(let time): machine.offset += time
        }
        tell()
    }

    /// A run ends by no doing of the engine's.
    private mutating func endRun(_ index: Int, code: Int) {
        let instance = machine.containers[index]
        monitor.trouble(instance.service)
        machine.end(index, code: code)
        let run = machine.containers[index].run
        queue.add(
            .life(id: instance.id, run: run, .endKnown),
            at: machine.clock + random.time(millisecond, 20 * millisecond))
    }

    // MARK: The lives of containers

    mutating func scheduleLife(of instance: Instance) {
        let script = machine.script(instance)
        let begin = machine.clock
        func add(_ life: Life, _ after: Int64) {
            queue.add(.life(id: instance.id, run: instance.run, life), at: begin + after)
        }
        let isChecked = instance.definition.service.healthcheck != nil
        switch script.fate {
        // Where it is asked, it is called unhealthy in the end.
        case .hangs: add(isChecked ? .unhealthy : .quietlyReady, isChecked ? 400 * second : 5 * second)
        case .unhealthy: add(isChecked ? .unhealthy : .listens, script.boot + 9 * second)
        default: add(.listens, script.boot)
        }
        switch script.fate {
        case .ends(let code, let after): add(.ends(code: code), after)
        case .servesUntil(let end): if machine.clock >= end { add(.ends(code: 1), 50 * millisecond) }
        case .flaky(let after): if isChecked { add(.sickens, after) }
        default: break
        }
    }

    /// A new engine probes what runs.
    mutating func rescheduleProbes(of instance: Instance) {
        guard instance.definition.service.isWatched, instance.health != .healthy else { return }
        guard let index = machine.index(instance.id) else { return }
        let isChecked = instance.definition.service.healthcheck != nil
        if !isChecked, !instance.isListening { machine.containers[index].silent = true }
        let life: Life? =
            switch machine.script(instance).fate {
            case .hangs: isChecked ? nil : .quietlyReady
            case .unhealthy: isChecked ? .unhealthy : .quietlyReady
            default: instance.isListening ? .healthy : nil
            }
        guard let life else { return }
        queue.add(
            .life(id: instance.id, run: instance.run, life), at: machine.clock + random.time(millisecond, 9 * second))
    }

    mutating func live(_ id: String, _ run: Int, _ life: Life) {
        guard let index = machine.index(id), machine.containers[index].run == run else { return }
        if case .endKnown = life {
            machine.learnEnd(id)
            resume(awaiting: id)
            return tell()
        }
        let instance = machine.containers[index]
        guard instance.isAlive else { return }
        let isChecked = instance.definition.service.healthcheck != nil
        switch life {
        case .listens:
            machine.containers[index].isListening = true
            machine.version += 1
            queue.add(
                .life(id: id, run: run, .healthy), at: machine.clock + random.time(millisecond, 300 * millisecond))
            return
        case .healthy, .quietlyReady:
            guard instance.silent || isChecked else { return }
            machine.containers[index].silent = false
            if isChecked { machine.containers[index].health = .healthy }
        case .unhealthy: machine.containers[index].health = .unhealthy
        case .sickens:
            monitor.trouble(instance.service)
            machine.containers[index].health = .unhealthy
            machine.containers[index].isListening = false
            queue.add(.life(id: id, run: run, .recovers), at: machine.clock + 20 * second)
        case .recovers:
            machine.containers[index].health = .healthy
            machine.containers[index].isListening = true
        case .ends(let code):
            if instance.wasStopped {
                machine.end(index, code: code)
                queue.add(
                    .life(id: id, run: machine.containers[index].run, .endKnown), at: machine.clock + millisecond)
            } else {
                endRun(index, code: code)
            }
            return
        case .endKnown: return
        }
        machine.refresh()
        tell()
    }

    /// Operations that wait for the container's end go on.
    mutating func resume(awaiting id: String) {
        guard let waiting = running?.operations.values.filter({ $0.awaiting == id }) else { return }
        for operation in waiting.sorted(by: { $0.step.id < $1.step.id }) {
            running?.operations[operation.step.id]?.awaiting = nil
            queue.add(
                .effect(epoch: epoch, work: workCount, step: operation.step.id), at: machine.clock + millisecond)
        }
    }
}
