import Reconciler
import StackModel

// The engine: it carries out what the core says, and dies now and then.
extension Simulation {
    static let planner: Convergence.Planning = { $0.plan($1, now: $2) }

    mutating func begin(_ work: Work, intent: Intent?, deadline: Int64? = nil) {
        workCount += 1
        log("work \(workCount) \(intent.map { "\($0)" } ?? "loop")")
        monitor.beginWork(machine)
        let planner = mutant?.planner ?? Self.planner
        running = Running(
            number: workCount,
            convergence: Convergence(
                work, history: machine.history(), deadline: deadline, parallelism: 4, planner: planner),
            intent: intent, since: machine.clock)
        feed(.began)
    }

    /// Gives the core an event, and carries out what it says to that.
    mutating func feed(_ first: Convergence.Event) {
        var events = [first]
        while !events.isEmpty, running != nil {
            let event = mutant?.event(events.removeFirst()) ?? events.removeFirst()
            guard let commands = running?.convergence.step(event) else { return }
            for command in mutant?.commands(commands) ?? commands {
                guard isUp, running != nil else { return }
                carryOut(command, answers: &events)
            }
        }
    }

    private mutating func carryOut(_ command: Convergence.Command, answers: inout [Convergence.Event]) {
        switch command {
        case .observe:
            running?.seen = changes
            lookCount += 1
            let isStale = isRough && scenario.isStale(lookCount)
            let time = random.time(millisecond, 5 * millisecond)
            queue.add(.answer(epoch: epoch, work: workCount, isStale: isStale), at: machine.clock + time)
        case .look:
            running?.seen = changes
            let state = machine.observed()
            running?.observed = state
            answers.append(.observed(state, now: machine.now))
        case .begin(let plan): checkPlan(plan)
        case .perform(let step): perform(step)
        case .wait(let time):
            running?.isWaiting = true
            if let time { wake(at: time) }
            pump()
        case .wake(let time): wake(at: time)
        case .saveStable: saveStable()
        case .returnTo(let revision): answers.append(answer(toReturnTo: revision))
        case .warn: break
        case .finish(let outcome): finish(outcome)
        }
    }

    /// - Parameter time: of the wall clock.
    private mutating func wake(at time: Int64) {
        queue.add(.news(epoch: epoch), at: max(machine.clock + millisecond, time - machine.offset))
    }

    mutating func answer(isStale: Bool) {
        let fresh = machine.observed()
        var state = fresh
        if isStale {
            monitor.count("stale observation")
            // The records are the engine's own: only what others say can be old.
            for index in state.containers.indices {
                guard let old = lastLook.containers.first(where: { $0.id == state.containers[index].id }),
                    old.isAlive == state.containers[index].isAlive
                else { continue }
                // Who seems not to serve may be stopped.
                let isOther =
                    old.health != state.containers[index].health
                    || old.silentPorts != state.containers[index].silentPorts
                if isOther { monitor.trouble(old.service) }
                state.containers[index].problems = old.problems
                state.containers[index].health = old.health
                state.containers[index].silentPorts = old.silentPorts
            }
            state.firewallProblems = lastLook.firewallProblems
        }
        lastLook = fresh
        running?.observed = state
        feed(.observed(state, now: machine.now))
    }

    /// The same state in another order must give the same plan.
    private mutating func checkPlan(_ plan: Plan) {
        guard let running, running.number % 4 == 0 else { return }
        var shuffled = running.observed
        shuffled.containers.reverse()
        shuffled.networks.reverse()
        let planner = mutant?.planner ?? Self.planner
        let again = planner(running.convergence.work, shuffled, machine.now)
        monitor.expect(again == plan, .determinism, "the order of what is observed shows in the plan", machine)
    }

    // MARK: Operations

    private mutating func perform(_ step: Step) {
        guard let running else { return }
        let before = monitor.violations.count
        defer {
            if monitor.violations.count > before {
                for container in running.observed.containers {
                    log(
                        "  saw \(container.id) \(container.name) \(container.state) \(container.health)"
                            + " serving \(container.isServing) stopping \(container.stopping)"
                            + " exit \(container.exitCode ?? -1)"
                    )
                }
            }
        }
        monitor.check(step, of: running.convergence.work, seen: running.observed, machine)
        operationCount += 1
        trace.append(step)
        log("op \(operationCount) \(step.action) \(step.name): \(step.reason)")
        var operation = Operation(step: step, effects: step.action.effects)
        operation.fault = isRough ? scenario.operationFault(operationCount) : nil
        if operation.fault != nil { monitor.count("operation failed") }
        switch operation.fault {
        case .okButDidNot, .failsBefore:
            operation.effects = []
            if operation.fault == .okButDidNot { excuse(step) }
        default: break
        }
        self.running?.operations[step.id] = operation
        schedule(step.id, after: random.time(millisecond, 40 * millisecond))
    }

    private mutating func excuse(_ step: Step) {
        switch step.action {
        case .stopContainer(let id, _, _), .restartContainer(let id, _), .removeContainer(let id, _):
            monitor.excused.insert(id)
        default: break
        }
    }

    private mutating func schedule(_ step: Int, after time: Int64) {
        queue.add(.effect(epoch: epoch, work: workCount, step: step), at: machine.clock + time)
    }

    mutating func nextEffect(of id: Int) {
        guard let operation = running?.operations[id], operation.awaiting == nil else { return }
        guard operation.next < operation.effects.count else { return end(operation) }
        let effect = operation.effects[operation.next]
        effectCount += 1
        if isRough, scenario.crashesBefore(effectCount) { return crash("before \(effect)") }
        if effect.isWrite, operation.fault == .writeFails {
            return end(operation, failure: "disk full")
        }
        if !prepare(effect, operation) { return }
        do throws(EffectFailure) { try machine.apply(effect, of: operation.step) } catch {
            return end(operation, failure: error.text)
        }
        followUp(effect, operation.step)
        running?.operations[id]?.next += 1
        if isRough, scenario.crashesAfter(effectCount) { return crash("after \(effect)") }
        schedule(id, after: random.time(millisecond, 10 * millisecond))
    }

    /// What takes time: `false` when it is not over yet.
    private mutating func prepare(_ effect: Effect, _ operation: Operation) -> Bool {
        switch effect {
        case .leave(let id):
            guard let index = machine.index(id) else { return true }
            let instance = machine.containers[index]
            guard machine.balancer[instance.service]?.contains(id) == true else { return true }
            machine.containers[index].busyUntil = machine.clock + scenario.requestTime
        case .drain(let id, let patience):
            guard let index = machine.index(id), machine.containers[index].isAlive else { return true }
            let busy = machine.containers[index].busyUntil
            guard patience > 0, busy > machine.clock else { return true }
            monitor.count("drained")
            running?.operations[operation.step.id]?.next += 1
            schedule(operation.step.id, after: min(patience, busy - machine.clock))
            return false
        case .awaitEnd(let id):
            guard let index = machine.index(id), machine.containers[index].seemsAlive else { return true }
            running?.operations[operation.step.id]?.awaiting = id
            return false
        default: break
        }
        return true
    }

    /// What the machine does by itself upon an effect.
    private mutating func followUp(_ effect: Effect, _ step: Step) {
        switch effect {
        case .signal(let id, let grace): signal(id, grace: grace, step)
        case .run(let reference, _):
            let found = machine.containers.first { instance in
                switch reference {
                case .id(let id): instance.id == id
                case .planned: instance.name == step.name
                }
            }
            if let found { scheduleLife(of: found) }
        case .kill(let id):
            guard let index = machine.index(id) else { return }
            let instance = machine.containers[index]
            queue.add(.life(id: id, run: instance.run, .endKnown), at: machine.clock + millisecond)
        default: break
        }
        tell()
    }

    private mutating func signal(_ id: String, grace: Int64?, _ step: Step) {
        guard let index = machine.index(id), machine.containers[index].isAlive else { return }
        let instance = machine.containers[index]
        var isPlanned = false
        if case .stopContainer = step.action, let running {
            switch running.convergence.work {
            case .reach(let desired), .keep(let desired):
                let replicas = desired.stack.services[instance.service]?.replicas ?? 0
                isPlanned = desired.startsFirst(instance.service) || replicas > 1
            default: break
            }
        }
        monitor.checkSignal(instance, isPlanned: isPlanned, machine)
        let patience = grace ?? instance.definition.service.stopGracePeriod ?? 10 * second
        let needed = machine.script(instance).stop
        if needed > patience { monitor.count("killed after its grace period") }
        let isKilled = needed > patience
        queue.add(
            .life(id: id, run: instance.run, .ends(code: isKilled ? 137 : 143)),
            at: machine.clock + min(needed, patience))
    }

    private mutating func end(_ operation: Operation, failure: String? = nil) {
        running?.operations[operation.step.id] = nil
        if failure != nil, let service = operation.step.service { monitor.trouble(service) }
        monitor.end(operation.step)
        var text = failure
        switch operation.fault {
        case .failsBefore: text = "refused"
        case .happenedButTimedOut: text = text ?? "timed out"
        default: break
        }
        if let text { log("op failed: \(operation.step.action): \(text)") }
        feed(
            .ended(
                step: operation.step.id, failures: text.map { [Diagnostic(code: "step.failed", $0)] } ?? []))
    }

    // MARK: What is kept

    private mutating func saveStable() {
        guard let number = machine.record?.revision,
            let index = machine.revisions.firstIndex(where: { $0.number == number }), let seen = running?.observed,
            let stack = machine.record?.stack
        else { return }
        for (name, service) in stack.services {
            // One that a command has stopped must have worked before as it is now.
            if machine.record?.stopped.contains(name) == true {
                monitor.expect(
                    service.replicas == 0 || hasWorked(name, machine.revisions[index]), .stableMeansReached,
                    "revision \(number) is called stable, and \(name) has been stopped", machine)
                continue
            }
            // A rollback makes no jobs, be they there or not.
            if machine.record?.isRollback == true, stack.oneShots.contains(name) { continue }
            let own = seen.containers.filter { $0.service == name }
            let ready = own.filter { $0.isReady || ($0.state == .exited && $0.exitCode == 0) }
            monitor.expect(
                own.count == ready.count && own.count >= service.replicas, .stableMeansReached,
                "revision \(number) is called stable, and \(name) is not ready", machine)
        }
        effectCount += 1
        if isRough, scenario.crashesBefore(effectCount) { return crash("before saving that it is stable") }
        log("revision \(number) is stable")
        machine.revisions[index].isStable = true
        if isRough, scenario.crashesAfter(effectCount) { return crash("after saving that it is stable") }
    }

    private func hasWorked(_ service: String, _ present: Revision) -> Bool {
        machine.revisions.contains { revision in
            revision.isStable && revision.imageIDs[service] == present.imageIDs[service]
                && revision.stack.services[service] == present.stack.services[service]
        }
    }

    private mutating func answer(toReturnTo number: Int) -> Convergence.Event {
        log("return to \(number)")
        monitor.expect(machine.record?.isRollback != true, .rollbackOnce, "a rollback is rolled back", machine)
        let revision = machine.revisions.first { $0.number == number }
        monitor.expect(revision?.isStable == true, .rollbackTarget, "revision \(number) never worked", machine)
        if let revision, let record = machine.record {
            let target = ResolvedStack(stack: revision.stack, imageIDs: revision.imageIDs, scale: [:])
            let present = ResolvedStack(stack: record.stack, imageIDs: record.imageIDs, scale: [:])
            monitor.expect(!target.isSame(as: present), .rollbackTarget, "\(number) is what there is", machine)
        }
        effectCount += 1
        if isRough, scenario.crashesBefore(effectCount) {
            crash("before returning to a revision")
            return .cancelled
        }
        guard returnTo(number), let desired = machine.desired() else {
            monitor.count("rollback target gone")
            return .notReturned(Diagnostic(code: "rollback.failed", "its image is gone"))
        }
        monitor.count(running?.intent == nil ? "undone by the loop" : "undone by a command")
        if isRough, scenario.crashesAfter(effectCount) {
            crash("after returning to a revision")
            return .cancelled
        }
        changes += 1
        monitor.countContainers(machine)
        return .wanted(desired, machine.history())
    }

    private mutating func finish(_ outcome: Convergence.Outcome) {
        guard let ended = running else { return }
        log("finish \(outcome)")
        running = nil
        if let intent = ended.intent {
            outcomes.append((intent, outcome))
            checkOutcome(outcome, of: ended)
            noteChange()
        }
        pump()
    }

    private mutating func checkOutcome(_ outcome: Convergence.Outcome, of ended: Running) {
        guard case .reach(let desired) = ended.convergence.work else { return }
        switch outcome {
        case _ where outcome.isDone || outcome.isUndone:
            for (name, service) in desired.stack.services
            where !service.toleratesFailures && machine.record?.stopped.contains(name) != true {
                // A rollback makes no jobs, be they there or not.
                if desired.isRollback, desired.stack.oneShots.contains(name) { continue }
                let own = ended.observed.containers.filter { $0.service == name }
                let current = own.filter { container in
                    let wanted = ContainerDefinition(
                        stack: desired.stack, service: name, imageID: desired.imageIDs[name] ?? "")
                    return wanted?.changes(from: container.definition).allSatisfy { $0.effect != .replace } ?? false
                }
                monitor.expect(
                    own.count == current.count && own.count == service.replicas, .truthfulOutcome,
                    "\(name) has \(current.count) of \(service.replicas) replicas after a command that went well",
                    machine)
            }
            monitor.count(outcome.isDone ? "command done" : "command rolled back")
        case .rolloutFailed(let failure):
            monitor.count(failure.isRollback ? "rollback failed" : "update paused")
            monitor.expect(
                !failure.rollouts.isEmpty && failure.isRollback == (machine.record?.isRollback ?? false),
                .truthfulOutcome, "a rollout failed, and nothing says which", machine)
        case .failed(let diagnostics):
            let isEndless = diagnostics.contains { $0.message.contains("does not settle") }
            monitor.expect(!isEndless, .convergence, "\(diagnostics.map(\.message))", machine)
            monitor.count(
                diagnostics.contains { $0.code == "stack.timeout" } ? "command timed out" : "command failed")
        case .done, .cancelled: break
        }
    }

    // MARK: Death and birth

    mutating func crash(_ when: String) {
        guard isUp else { return }
        log("crash \(when)")
        monitor.count("engine crashed")
        isUp = false
        if let intent = running?.intent { outcomes.append((intent, .cancelled)) }
        if running?.operations.isEmpty == false { monitor.count("crash amid an operation") }
        running = nil
        waitingIntents = []
        isPulling = false
        epoch += 1
        machine.loseMemory()
        queue.add(.engineStart(epoch: epoch), at: machine.clock + random.time(100 * millisecond, 5 * second))
    }

    mutating func startEngine() {
        guard !isUp else { return }
        log("engine starts")
        isUp = true
        epoch += 1
        if machine.containers.contains(where: { $0.name.hasSuffix("-next") }) {
            monitor.count("succession taken over")
        }
        machine.adopt()
        for instance in machine.containers where instance.isAlive {
            rescheduleProbes(of: instance)
            // What was told to stop is killed when its time is over.
            guard instance.wasStopped else { continue }
            let grace = instance.definition.service.stopGracePeriod ?? 10 * second
            queue.add(.life(id: instance.id, run: instance.run, .ends(code: 137)), at: machine.clock + grace)
        }
        noteChange()
    }
}

extension Convergence.Outcome {
    var isDone: Bool {
        if case .done = self { return true }
        return false
    }

    var isUndone: Bool {
        if case .rolloutFailed(let failure) = self { return failure.undoneTo != nil }
        return false
    }
}
