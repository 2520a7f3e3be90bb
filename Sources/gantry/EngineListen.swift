import ArgumentParser
import EngineAPI
import EngineClient
import StackModel
import TLSTransport

/// Where `gantry engine` listens, and who may connect there; the words are dockerd's.
struct ListenOptions: ParsableArguments {
    @Option(
        name: [.customShort("H"), .customLong("host")],
        help: """
            Where to listen, may be repeated: unix://PATH (default: /run/gantry.sock; $XDG_RUNTIME_DIR/gantry/gantry.sock \
            without root), or tcp://ADDRESS:PORT with --tlsverify.
            """)
    var hosts: [String] = []

    @Option(
        name: [.customShort("G"), .long],
        help: "Group whose members may use the engine, by name or number (default: gantry, where there is one).")
    var group: String?

    @Flag(help: "On TCP, TLS with clients that show a certificate of the authority.")
    var tlsverify = false

    @Option(help: "Certificates of the authority (default: ca.pem in $DOCKER_CERT_PATH or ~/.docker).")
    var tlscacert: String?

    @Option(help: "The engine's certificate (default: cert.pem there).")
    var tlscert: String?

    @Option(help: "The engine's key (default: key.pem there).")
    var tlskey: String?

    @Flag(
        help: """
            Serve TCP without TLS, on 127.0.0.0/8 and ::1 only: every user and every container with the host's network \
            can then do what root can.
            """)
    var unsafePlainTcp = false

    /// What is listened on by default is the user's own socket.
    func wantedHosts(_ paths: StandardPaths) -> [String] { hosts.isEmpty ? ["unix://\(paths.socketPath)"] : hosts }

    /// - Parameter isRootless: in namespaces of its own, where a TCP port would be nobody else's.
    func endpoints(
        _ paths: StandardPaths, socketGroup: UInt32?, environment: [String: String], isRootless: Bool
    ) throws -> [HTTPEndpoint] {
        var tls: TLSServer?
        return try wantedHosts(paths).map { host in
            if host.hasPrefix("unix://"), host.count > "unix://".count {
                return .unix(path: String(host.dropFirst("unix://".count)), group: socketGroup)
            }
            guard host.hasPrefix("tcp://") else {
                throw ValidationError("--host must be unix://PATH or tcp://ADDRESS:PORT, not '\(host)'")
            }
            guard let place = TCPDestination(parsing: String(host.dropFirst("tcp://".count))) else {
                throw ValidationError("'\(host)' is no address and port: write tcp://ADDRESS:PORT")
            }
            guard !isRootless else {
                throw ValidationError("without root the engine listens on Unix sockets only, not on '\(host)'")
            }
            if !tlsverify {
                try checkPlain(place, host)
                return .tcp(host: place.host, port: Int(place.port), tls: nil)
            }
            let server = try tls ?? loadTLS(environment)
            tls = server
            return .tcp(host: place.host, port: Int(place.port), tls: server)
        }
    }

    private func checkPlain(_ place: TCPDestination, _ host: String) throws {
        guard unsafePlainTcp else {
            throw ValidationError(
                "'\(host)' needs --tlsverify with --tlscacert, --tlscert and --tlskey: who reaches the port can do "
                    + "what root can")
        }
        guard place.isLoopback else {
            throw ValidationError(
                "--unsafe-plain-tcp serves 127.0.0.0/8 and ::1 only, not '\(host)': others need --tlsverify")
        }
    }

    private func loadTLS(_ environment: [String: String]) throws(CommandFailure) -> TLSServer {
        let standard = TLSFiles.standard(environment)
        let files = TLSFiles(
            authority: tlscacert ?? standard.authority, certificate: tlscert ?? standard.certificate,
            key: tlskey ?? standard.key)
        do throws(TLSError) {
            return try TLSServer(files)
        } catch {
            throw CommandFailure(
                [
                    Diagnostic(
                        code: "engine.tls", "the engine cannot serve TLS: \(error)",
                        hint: "--tlscacert, --tlscert and --tlskey name the files; see docs/remote.md")
                ], exitCode: 2)
        }
    }
}
