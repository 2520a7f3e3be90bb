import EngineClient
import EngineWire
import LinuxSystem
import StackModel

/// `up` without `-d`: shows logs until everything has ended or Ctrl-C stops the stack.
struct ForegroundStack {
    let session: Session
    let client: EngineClient
    let stack: String
    let services: [String]
    let timeout: Int64?
    let signals: SignalSource
    /// `--watch`: then it goes on when everything has ended, as a change may start something again.
    var watch: WatchSession?

    func showLogs(_ logs: LogFollower) throws {
        try logs.start()
        while !logs.isAtEnd || watch != nil {
            let descriptors = logs.descriptors + (watch.map { [$0.descriptor] } ?? [])
            var waited = [Waited(signals.descriptor)] + descriptors.map { Waited($0) }
            try wait(for: &waited, milliseconds: watch?.patience)
            if waited[0].readable, try signals.take() != nil { try stop(logs: logs) }
            try logs.advance(readable: Set(waited.dropFirst().filter(\.readable).map(\.descriptor)))
            do {
                try watch?.act()
            } catch is WatchInterruption {
                try stop(logs: logs)
            }
        }
    }

    /// The first Ctrl-C: stops the stack while its logs go on; the second one kills it. Never returns normally.
    func stop(logs: LogFollower?) throws -> Never {
        try session.errors.write("\nStopping; press Ctrl-C again to kill.\n")
        let request = ServicesRequest(services: services, timeout: timeout)
        let stopping = try client.perform(.stop, stack: stack, request)
        // Lines of logs come in between: nothing is drawn over.
        let printer = session.progressPrinter(mode: session.progressMode == .tty ? .plain : session.progressMode)
        var failures: [Diagnostic] = []
        stopLoop: while true {
            let descriptors = logs?.descriptors ?? []
            var waited = [Waited(signals.descriptor), Waited(stopping.descriptor)] + descriptors.map { Waited($0) }
            try wait(for: &waited, milliseconds: nil)
            if waited[0].readable, try signals.take() != nil { try kill(printer) }
            try logs?.advance(readable: Set(waited.dropFirst(2).filter(\.readable).map(\.descriptor)))
            guard waited[1].readable else { continue }
            guard let events = try stopping.receive() else { break stopLoop }
            for event in events {
                try printer.show(event)
                if case .failed(let diagnostics) = event { failures += diagnostics }
            }
        }
        throw CommandFailure(failures, exitCode: 130)
    }

    private func kill(_ printer: ProgressPrinter) throws -> Never {
        let killing = try client.perform(.kill, stack: stack, ServicesRequest(services: services, signal: "SIGKILL"))
        var failures: [Diagnostic] = []
        while let events = try killing.receive() {
            for event in events {
                try printer.show(event)
                if case .failed(let diagnostics) = event { failures += diagnostics }
            }
        }
        throw CommandFailure(failures, exitCode: 130)
    }
}
