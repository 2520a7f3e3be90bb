import ArgumentParser
import EngineClient
import EngineWire
import FileWatch
import Images
import LinuxSystem
import Registry
import StackFile
import StackModel
import TLSTransport

/// Ends a command: what is said, and with which code.
struct CommandFailure: Error, Equatable {
    var diagnostics: [Diagnostic]
    var exitCode: Int32

    /// - Parameter exitCode: `nil`: what the diagnostics' codes stand for, otherwise 1.
    init(_ diagnostics: [Diagnostic], exitCode: Int32? = nil) {
        self.diagnostics = diagnostics
        self.exitCode = exitCode ?? StackExitCode(diagnostics)?.rawValue ?? 1
    }

    init(code: String, _ message: String, hint: String? = nil, exitCode: Int32? = nil) {
        self.init([Diagnostic(code: code, message, hint: hint)], exitCode: exitCode)
    }

    /// The command line is wrong.
    static func usage(_ message: String, hint: String? = nil) -> CommandFailure {
        CommandFailure(code: "usage", message, hint: hint, exitCode: 2)
    }

    /// Ctrl-C: what was to be said has been said.
    static let interrupted = CommandFailure([], exitCode: 130)
}

/// What a user is told about an error, whatever room it comes from; `nil`: it is the parser's.
func failure(for error: any Error) -> CommandFailure? {
    switch error {
    case let error as CommandFailure: error
    case let error as ExitCode: CommandFailure([], exitCode: error.rawValue)
    case let error as StackFileError:
        CommandFailure(error.diagnostics, exitCode: StackExitCode.invalid.rawValue)
    case let error as Diagnostic: CommandFailure([error])
    case let error as EngineClientError: CommandFailure(diagnostics(for: error))
    case let error as EngineHostError: CommandFailure([diagnostic(for: error)], exitCode: 2)
    case let error as RegistryError: CommandFailure(code: "registry", "\(error)")
    case let error as ImageError: CommandFailure(code: "image", "\(error)")
    case let error as FileWatchError: CommandFailure(code: "watch", "\(error)", hint: error.hint)
    case let error as SystemError: CommandFailure(code: "system", "\(error)")
    default: nil
    }
}

private func diagnostics(for error: EngineClientError) -> [Diagnostic] {
    switch error {
    case .notRunning(let socket):
        return [
            Diagnostic(
                code: "engine.not-running", "the engine is not running: nothing answers on \(socket)",
                hint: "start it with `gantry engine`, or unset GANTRY_NO_AUTOSTART to have it started when needed")
        ]
    case .denied(let socket):
        return [
            Diagnostic(
                code: "engine.denied", "no permission to talk to the engine on \(socket)",
                hint: "run the command as root (sudo), or as a member of the group that owns the socket")
        ]
    case .system(let error): return [Diagnostic(code: "engine.connection", "talking to the engine failed: \(error)")]
    case .unreachable:
        return [
            Diagnostic(
                code: "engine.unreachable", "the engine on the other machine cannot be reached",
                hint: "ssh says why above; `ssh USER@MACHINE gantry version` must work there")
        ]
    case .noSSH:
        return [
            Diagnostic(
                code: "host.no-ssh", "there is no program ssh here, which connects to ssh:// hosts",
                hint: "install OpenSSH's client (Debian: openssh-client)")
        ]
    case .noLink(let host, let error): return [diagnostic(for: error, host)]
    case .notSecured(let host):
        return [
            Diagnostic(
                code: "host.not-secured",
                "\(host) would be talked to without TLS: everybody between could do as you can",
                hint: "add --tlsverify, or set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH")
        ]
    case .malformed(let fault):
        return [
            Diagnostic(
                code: "engine.protocol", "what answers on the socket does not speak HTTP as it should (\(fault))",
                hint: "check with --host, GANTRY_HOST and DOCKER_HOST that the socket is the engine's")
        ]
    case .cut:
        return [
            Diagnostic(
                code: "engine.cut", "the engine closed the connection before it had answered",
                hint: "it may have been restarted: try again, and look at its log when that does not help")
        ]
    case .unexpectedAnswer(let what):
        return [
            Diagnostic(
                code: "engine.protocol", "\(what) could not be read",
                hint: "client and engine may be of different versions: see `gantry version`")
        ]
    case .refused(let status, let reply):
        if reply.diagnostics.contains(where: { $0.severity == .error }) { return reply.diagnostics }
        // Docker's words for a path it does not have.
        let hint =
            reply.message == "page not found"
            ? "is another engine answering? --host, GANTRY_HOST and DOCKER_HOST choose the socket" : nil
        return reply.diagnostics + [Diagnostic(code: "engine.\(status)", reply.message, hint: hint)]
    }
}

private func diagnostic(for error: TLSError, _ host: String) -> Diagnostic {
    let engine = host.isEmpty ? "the engine" : "the engine on \(host)"
    switch error {
    case .unusableFile, .unusableIdentity:
        return Diagnostic(
            code: "host.tls", "\(error)",
            hint:
                "--tlscacert, --tlscert and --tlskey name the files, or DOCKER_CERT_PATH a folder with them"
        )
    case .noConnection(let why):
        return Diagnostic(
            code: "engine.unreachable", "\(engine) cannot be reached: \(why)",
            hint: "check the address, and that the engine there was started with --host tcp://…")
    case .untrusted(let why):
        return Diagnostic(
            code: "host.untrusted", "\(engine) is not trusted: \(why)",
            hint: "--tlscacert names the authority that signed it")
    case .refused(let why):
        return Diagnostic(
            code: "engine.refused", "\(engine) refuses us: \(why)",
            hint: "--tlscert and --tlskey name a certificate that its --tlscacert signed")
    }
}

private func diagnostic(for error: EngineHostError) -> Diagnostic {
    let hint = "a host is written unix:///path/to/gantry.sock, ssh://user@machine or tcp://machine:2376"
    return switch error {
    case .noScheme(let text): Diagnostic(code: "host.invalid", "host '\(text)' has no scheme", hint: hint)
    case .unsupportedScheme(let scheme):
        Diagnostic(code: "host.unsupported", "hosts of the kind \(scheme):// are not supported", hint: hint)
    case .relativePath(let text):
        Diagnostic(code: "host.invalid", "host '\(text)' has no absolute path", hint: hint)
    case .invalidDestination(let text):
        Diagnostic(
            code: "host.invalid", "'\(text)' is not a machine to reach by ssh",
            hint: "write ssh://[user@]machine[:port][/path/to/gantry.sock]")
    case .invalidAddress(let text):
        Diagnostic(
            code: "host.invalid", "'\(text)' is no address and port",
            hint: "write tcp://machine:2376, or tcp://[::1]:2376")
    case .pathTooLong(let path):
        Diagnostic(
            code: "host.invalid", "socket path '\(path)' is longer than \(EngineHost.pathByteCountMax) bytes",
            hint: "the kernel takes no longer one: choose a shorter path")
    case .unsafeFolder(let path):
        Diagnostic(
            code: "host.unsafe", "\(path) belongs to another user, or others can write to it",
            hint: "set XDG_RUNTIME_DIR to a folder of your own, or choose a socket with --host")
    }
}

/// A diagnostic that is safe on a terminal.
func harmlessDiagnostic(_ diagnostic: Diagnostic) -> Diagnostic {
    var safe = diagnostic
    safe.message = harmless(diagnostic.message, .paragraphs)
    safe.hint = diagnostic.hint.map { harmless($0, .paragraphs) }
    if let source = diagnostic.source {
        safe.source = SourceMark(file: harmless(source.file), line: source.line, column: source.column)
    }
    return safe
}
