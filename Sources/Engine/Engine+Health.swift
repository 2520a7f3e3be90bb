import CLinux
import ContainerRuntime
import EngineWire
import Images
import Logging
import Reconciler
import StackModel

/// Runs healthchecks: `HealthState` decides, this probes and keeps the time.
extension Engine {
    /// What a probe printed is kept up to here, as Docker does.
    private static let outputBytesMax = 4096

    func imageDefaults(_ stored: StoredContainer) -> ContainerDefaults? {
        // An image that is gone leaves the service's own settings.
        (try? images.image(stored.definition.imageID))?.config.config
    }

    func healthCommand(of stored: StoredContainer) -> [String]? {
        probeCommand(stored.definition.service, defaults: imageDefaults(stored))
    }

    /// - Parameter known: of a container that ran already.
    func startHealthChecks(_ id: String, known: ContainerHealth? = nil) {
        guard let container = containers[id], healthCommand(of: container.stored) != nil else { return }
        let service = container.stored.definition.service
        containers[id]?.health = HealthState(
            parameters: HealthState.Parameters(service, defaults: imageDefaults(container.stored)))
        let generation = container.generation
        let now = Clock.monotonic()
        feedHealth(id, generation, known.map { .containerFound($0, at: now) } ?? .containerStarted(at: now))
    }

    /// Its definition has changed while it runs: what was known of it holds until the new check says otherwise.
    func followHealthcheck(_ id: String) {
        guard let container = containers[id], container.process != nil else { return }
        let known = container.health?.health ?? .healthy
        containers[id]?.health = nil
        if healthCommand(of: container.stored) == nil {
            containers[id]?.stored.health = nil
            saveSoon(id)
        } else {
            startHealthChecks(id, known: known == .starting ? nil : known)
        }
    }

    private func feedHealth(_ id: String, _ generation: Int, _ event: HealthState.Event) {
        guard let container = containers[id], container.generation == generation, container.process != nil,
            var health = container.health
        else { return }
        let actions = health.handle(event)
        containers[id]?.health = health
        for action in actions { perform(action, id, generation) }
    }

    private func perform(_ action: HealthState.Action, _ id: String, _ generation: Int) {
        switch action {
        case .wake(let time):
            let number = (containers[id]?.healthWakes ?? 0) + 1
            containers[id]?.healthWakes = number
            background.start { [self] in
                let delay = max(0, time - Clock.monotonic())
                do { try await Task.sleep(for: .nanoseconds(delay)) } catch { return }
                await healthTimer(id, generation, number)
            }
        case .startProbe(let probe):
            background.start { [self] in
                let succeeded = await runProbe(id)
                await feedHealth(
                    id, generation, .probeEnded(probe: probe, succeeded: succeeded, at: Clock.monotonic()))
            }
        case .abortProbe:
            // The probe ends by its own timeout, which is the same; its late answer is ignored by number.
            break
        case .changed(let health):
            noteHealthyTime(id, health)
            background.start { [self] in await healthChanged(id, health) }
        }
    }

    /// A later wake replaces an earlier one.
    private func healthTimer(_ id: String, _ generation: Int, _ number: Int) {
        guard containers[id]?.healthWakes == number else { return }
        feedHealth(id, generation, .timer(at: Clock.monotonic()))
    }

    private func healthChanged(_ id: String, _ health: ContainerHealth) async {
        await refreshEndpoints()
        guard let stored = containers[id]?.stored else { return }
        let latest = containers[id]?.health?.health
        if stored.health != latest {
            containers[id]?.stored.health = latest
            saveSoon(id)
        }
        announce(stored, "health_status: \(health.rawValue)")
    }

    // MARK: Replacements

    /// Written before it happens: an engine that is killed meanwhile does not begin to count anew.
    func noteUnhealthyReplacement(of id: String) {
        guard let stored = containers[id]?.stored, var record = stacks[stored.stackName]?.record else { return }
        let address = PlanAddress.of(stored.service, stored.number)
        let known = record.unhealthy?[address]
        guard known?.container != id else { return }
        record.unhealthy = record.unhealthy ?? [:]
        record.unhealthy?[address] = .init(count: (known?.count ?? 0) + 1, container: id)
        stacks[stored.stackName]?.record = record
        saveOrLog(record)
    }

    /// One that was healthy for long enough was worth replacing those before it.
    private func noteHealthyTime(_ id: String, _ health: ContainerHealth) {
        guard health != .healthy else {
            if containers[id]?.healthySince == nil { containers[id]?.healthySince = Clock.monotonic() }
            return
        }
        guard let container = containers[id], let since = container.healthySince else { return }
        containers[id]?.healthySince = nil
        let stored = container.stored
        let address = PlanAddress.of(stored.service, stored.number)
        guard Clock.monotonic() - since >= UnhealthyBackoff.steadyAfter, !stored.oneOff,
            var record = stacks[stored.stackName]?.record, record.unhealthy?[address] != nil
        else { return }
        record.unhealthy?[address] = nil
        stacks[stored.stackName]?.record = record
        saveOrLog(record)
    }

    private func noteProbe(_ id: String, _ generation: Int, _ probe: HealthProbe) {
        guard containers[id]?.generation == generation else { return }
        containers[id]?.probes.append(probe)
        let extra = (containers[id]?.probes.count ?? 0) - HealthProbe.keptMax
        if extra > 0 { containers[id]?.probes.removeFirst(extra) }
    }

    private func runProbe(_ id: String) async -> Bool {
        guard let container = containers[id], let command = healthCommand(of: container.stored) else { return false }
        // What stands still is asked nothing; it is as it was.
        if isFrozen(id) { return container.health?.health != .unhealthy }
        let timeout = container.health?.parameters.timeout ?? 0
        let outputMax = Self.outputBytesMax
        let startedAt = Clock.now()
        do throws(EngineError) {
            let request = try execRequest(container.stored, command: command)
            let result = try await onRuntime(of: container.stored.name, on: streams) { runtime throws(RuntimeError) in
                try runtime.execute(request).collect(
                    timeoutMilliseconds: timeout / 1_000_000, outputMax: outputMax)
            }
            let output = String(decoding: result.output, as: UTF8.self)
            noteProbe(
                id, container.generation,
                HealthProbe(startedAt: startedAt, exitCode: result.exitCode.map { Int($0) }, output: output))
            if result.exitCode != 0 {
                log.debug(
                    "healthcheck failed",
                    metadata: [
                        "container": "\(container.stored.name)",
                        "exit": "\(result.exitCode.map(String.init) ?? "timed out")",
                        "output": "\(secretMask(of: container.stored.stackName).mask(output))",
                    ])
            }
            return result.exitCode == 0
        } catch {
            noteProbe(
                id, container.generation,
                HealthProbe(startedAt: startedAt, exitCode: nil, output: error.diagnostics.map(\.message).joined()))
            log.debug("healthcheck not run", metadata: ["container": "\(container.stored.name)", "error": "\(error)"])
            return false
        }
    }
}

/// One run of a healthcheck that has ended.
struct HealthProbe {
    /// As many as Docker keeps of each container.
    static let keptMax = 5

    var startedAt: Nanoseconds
    var endedAt = Clock.now()
    /// `nil`: it timed out, or could not be run.
    var exitCode: Int?
    var output: String
}
