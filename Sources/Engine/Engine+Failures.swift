import ContainerRuntime
import EngineWire
import LinuxSystem
import Logging
import Reconciler
import StackModel
import SupervisorPlan

/// What a user would ask for next when a command has failed.
extension Engine {
    /// More replicas than these tell nothing new.
    private static let failureReportsMax = 10
    /// Bytes of one line of a log, and of one probe's output.
    private static let reportedTextByteCountMax = 4096

    /// What must not be seen of a stack, as far as the engine knows it: of what is applied, and of the revisions
    /// before, whose containers may still be there.
    func secretMask(of name: String) -> SecretMask {
        var mask = stacks[name].map { SecretMask(of: $0.record.stack) } ?? SecretMask()
        for revision in revisions[name] ?? [] { mask.add(of: revision.stack) }
        for container in containers.values where container.stored.stackName == name {
            let service = container.stored.definition.service
            mask.add(secretsAmong: service.environment)
            for hook in service.preStart + service.postStart + service.preStop {
                mask.add(secretsAmong: hook.environment)
            }
        }
        return mask
    }

    /// Tells a command's client about each replica that is not as it should be.
    ///
    /// - Parameters:
    ///   - isLate: what has not come up yet is told of too.
    ///   - since: when the command began: what ended before that is none of its business.
    func reportFailures(
        _ name: String, isLate: Bool = false, since: Nanoseconds, progress: ProgressSink
    ) async {
        let mask = secretMask(of: name)
        let ailing = containers.values.filter { container in
            container.stored.stackName == name && !container.stored.oneOff
                && isAiling(container, since: since, isLate: isLate)
        }
        for container in ailing.sorted(by: { $0.stored.name < $1.stored.name }).prefix(Self.failureReportsMax) {
            progress(.failure(await failureReport(container, mask)))
        }
    }

    private func isAiling(_ container: Container, since: Nanoseconds, isLate: Bool) -> Bool {
        let stored = container.stored
        if stored.stoppedByUser { return false }
        if container.process != nil {
            guard let health = container.health?.health else { return stored.restarts > 0 }
            return health == .unhealthy || (isLate && health != .healthy)
        }
        guard let exit = stored.exit else { return false }
        let isDone = exit.code == 0 && stored.definition.service.restart.mode != .always
        return !isDone && exit.finishedAt >= since
    }

    private func failureReport(_ container: Container, _ mask: SecretMask) async -> FailureReport {
        let stored = container.stored
        var report = FailureReport(
            stack: stored.stackName, service: stored.service, container: stored.name,
            state: reportedState(of: container))
        report.health = container.health.flatMap { ContainerStatus.Health(rawValue: $0.health.rawValue) }
        report.exitCode = stored.exit?.code
        report.signal = stored.exit.flatMap { signalName(exitCode: $0.code) }
        report.outOfMemory = stored.exit?.outOfMemory ?? false
        report.restarts = stored.restarts
        report.note = stored.exit?.note.map(mask.mask)
        report.step = container.lastStep
        report.source = stacks[stored.stackName]?.record.stack.source(of: "services.\(stored.service)")
        report.probes = container.probes.suffix(FailureReport.probesMax).map { probe in
            FailureReport.Probe(
                at: rfc3339(probe.startedAt), exitCode: probe.exitCode, output: shortened(mask.mask(probe.output)))
        }
        report.log = await lastLines(of: stored, mask)
        return report
    }

    private func reportedState(of container: Container) -> ContainerStatus.State {
        if container.process != nil { return .running }
        if container.stored.exit == nil { return .created }
        let stored = container.stored
        let decision = RestartBackoff.decision(
            policy: stored.definition.service.restart, exitCode: stored.exit?.code, restarts: stored.restarts,
            stoppedByUser: stored.stoppedByUser, finishedAt: 0)
        return decision == .stay ? .exited : .restarting
    }

    private func lastLines(of stored: StoredContainer, _ mask: SecretMask) async -> [FailureReport.LogLine] {
        guard stored.definition.service.logging?.driver != "none", stored.startedAt != nil else { return [] }
        let path = "\(options.containerData(stored.id))/container.log"
        do throws(EngineError) {
            let records = try await onPool { () throws(SystemError) -> [LogRecord] in
                var reader = try LogReader(path: path, tail: FailureReport.logLinesMax)
                return try reader.read()
            }
            return records.suffix(FailureReport.logLinesMax).map { record in
                FailureReport.LogLine(
                    at: rfc3339(Nanoseconds(clamping: record.time)),
                    stream: record.stream == .stdout ? .stdout : .stderr,
                    text: shortened(String(decoding: mask.mask(record.bytes), as: UTF8.self)))
            }
        } catch {
            log.warning("log not read", metadata: ["container": "\(stored.name)", "error": "\(error)"])
            return []
        }
    }

    private func shortened(_ text: String) -> String {
        guard text.utf8.count > Self.reportedTextByteCountMax else { return text }
        return String(decoding: text.utf8.prefix(Self.reportedTextByteCountMax), as: UTF8.self) + "…"
    }
}

/// Exit codes from 129 on stand for signals, as shells have it (bash(1), "EXIT STATUS").
func signalName(exitCode: Int) -> String? {
    let names = [
        1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
        11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    ]
    return names[exitCode - 128]
}
