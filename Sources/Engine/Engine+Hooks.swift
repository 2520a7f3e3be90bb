import ContainerRuntime
import EngineWire
import Logging
import Reconciler
import StackModel

/// `post_start` and `pre_stop`: commands in a running container (Compose Specification, services).
///
/// Each is run at least once for a start or a stop: an engine that takes over in the midst of it runs it again.
extension Engine {
    /// Of what a hook printed, the last of it goes into the message.
    private static let outputBytesMax = 4096
    private static let outputLinesShown = 5
    /// What is left for the stop signal of the time to stop, however long the hooks took; as with Kubernetes.
    private static let signalGraceMin: Nanoseconds = 2_000_000_000

    /// Containers that `run` made are the user's own business.
    func hasHooks(_ stored: StoredContainer) -> Bool { !stored.oneOff || stored.labels[GantryLabel.job] != nil }

    // MARK: post_start

    func hasPostStart(_ stored: StoredContainer) -> Bool {
        hasHooks(stored) && !stored.definition.service.postStart.isEmpty
    }

    /// Runs the hooks of a container whose process has started; until then it serves nobody and its dependents wait.
    /// When one fails the container is stopped, and its start has failed.
    func runPostStart(_ id: String) async throws(EngineError) {
        guard let container = containers[id], container.process != nil, container.isStarting else { return }
        let (stored, generation) = (container.stored, container.generation)
        let patience = Reconciler.readyPatience(stored.definition.service)
        for hook in stored.definition.service.postStart {
            let failure = await runHook(hook, of: stored, atMost: patience)
            guard containers[id]?.generation == generation, containers[id]?.process != nil else {
                // It has ended by itself, and what that means is its restart policy's to say.
                return postStartEnded(id, generation)
            }
            if isShuttingDown { throw .cancelled }
            guard let failure else { continue }
            let shown = hook.shownCommand(secretMask(of: stored.stackName))
            let message = "the post_start hook '\(shown)' of container \(stored.name) \(failure)"
            containers[id]?.startFailure = message
            try await stopContainer(id, byUser: false)
            throw .diagnostics([
                Diagnostic(
                    code: "hook.failed", message,
                    source: stacks[stored.stackName]?.record.stack.source(of: "services.\(stored.service).post_start"),
                    hint: "the container was stopped; see `gantry logs \(stored.service)`")
            ])
        }
        postStartEnded(id, generation)
    }

    private func postStartEnded(_ id: String, _ generation: Int) {
        guard let container = containers[id], container.generation == generation else { return }
        containers[id]?.stored.isStarting = nil
        saveSoon(id)
        noteChange(in: container.stored.stackName)
    }

    /// Of a container whose engine was killed while they ran.
    func resumePostStart(_ id: String) {
        background.start { [self] in
            do throws(EngineError) {
                try await runPostStart(id)
                if let stored = await containers[id]?.stored { await refreshEndpoints(of: stored) }
            } catch {
                log.warning("start failed", metadata: ["error": "\(error.diagnostics.map(\.message))"])
            }
        }
    }

    // MARK: pre_stop

    /// Runs the hooks of a container that is about to get its stop signal. One that fails is told; the stop goes on.
    ///
    /// - Parameter grace: nanoseconds that hooks and signal have together.
    /// - Returns: what went wrong, and what is left for the signal.
    func runPreStop(_ id: String, grace: Nanoseconds) async -> (warnings: [String], grace: Nanoseconds) {
        guard let container = containers[id], container.process != nil, !container.isStarting,
            hasHooks(container.stored), !container.stored.definition.service.preStop.isEmpty
        else { return ([], grace) }
        let stored = container.stored
        let deadline = Clock.monotonic() + grace
        var warnings: [String] = []
        for hook in stored.definition.service.preStop {
            guard containers[id]?.process != nil, !isShuttingDown else { break }
            let failure = await runHook(hook, of: stored, atMost: max(0, deadline - Clock.monotonic()))
            guard containers[id]?.process != nil, !isShuttingDown else { break }
            guard let failure else { continue }
            let shown = hook.shownCommand(secretMask(of: stored.stackName))
            warnings.append("the pre_stop hook '\(shown)' \(failure)")
            log.warning(
                "pre_stop hook failed", metadata: ["container": "\(stored.name)", "failure": "\(failure)"])
        }
        return (warnings, max(min(grace, Self.signalGraceMin), deadline - Clock.monotonic()))
    }

    // MARK: One hook

    /// Answers in what way it failed, without the stack's secrets; `nil` is success.
    private func runHook(_ hook: Hook, of stored: StoredContainer, atMost patience: Nanoseconds) async -> String? {
        guard patience > 0 else { return "was not run: there was no time left" }
        var command = ExecCreateRequest(Cmd: hook.command)
        command.Env = hook.environment.sorted { $0.key < $1.key }.compactMap { name, value in
            value.map { "\(name)=\($0)" }
        }
        command.User = hook.user
        command.WorkingDir = hook.workingDirectory
        command.Privileged = hook.privileged
        let (outputMax, ending) = (Self.outputBytesMax, ending)
        do throws(EngineError) {
            var request = try execRequest(stored, command)
            let unset = hook.environment.filter { $0.value == nil }.keys
            request.env.removeAll { entry in unset.contains { entry.hasPrefix("\($0)=") } }
            let prepared = request
            let result = try await onRuntime(of: stored.name, on: streams) { runtime throws(RuntimeError) in
                try runtime.execute(prepared).collect(
                    timeoutMilliseconds: max(1, patience / 1_000_000), outputMax: outputMax,
                    isCancelled: { ending.isSet })
            }
            if result.exitCode == 0 { return nil }
            let mask = secretMask(of: stored.stackName)
            let output = mask.mask(String(decoding: result.output, as: UTF8.self)).split(separator: "\n")
                .suffix(Self.outputLinesShown).joined(separator: "; ")
            let end = result.exitCode.map { "ended with \($0)" } ?? "took longer than it may"
            return output.isEmpty ? end : "\(end): \(output)"
        } catch {
            let text = error.diagnostics.map(\.message).joined(separator: "; ")
            return "could not be run: \(secretMask(of: stored.stackName).mask(text))"
        }
    }
}

extension Hook {
    /// As it is named in messages, which need not have all of it.
    func shownCommand(_ mask: SecretMask) -> String {
        // Before it is cut: half of a secret is one, too.
        let text = mask.mask(command.joined(separator: " "))
        return text.count > 60 ? text.prefix(59) + "…" : text
    }
}
