import Glibc
import LinuxSystem

/// Where the engine listens.
public struct EngineHost: Equatable, Sendable, CustomStringConvertible {
    public enum Place: Equatable, Sendable {
        /// Absolute path of a Unix socket of this machine.
        case socket(String)
        /// Another machine, by OpenSSH's client.
        case ssh(SSHDestination)
        /// Another machine, or this one, by its TCP port.
        case tcp(TCPDestination)
    }

    public let place: Place

    /// Where root's engine listens when nobody says otherwise.
    public static let standard = EngineHost(socketPath: "/run/gantry.sock")

    /// The longest path a `sockaddr_un` holds, without its terminating zero (unix(7)).
    public static let pathByteCountMax = 107

    public init(socketPath: String) { place = .socket(socketPath) }

    /// Reads `unix:///path`, `ssh://[user@]host[:port][/path]` and `tcp://host:port`. Other schemes are refused by
    /// name.
    public init(parsing text: String) throws(EngineHostError) {
        guard let separator = Self.schemeEnd(text) else { throw .noScheme(text) }
        let scheme = text[..<separator]
        let rest = String(text[text.index(separator, offsetBy: 3)...])
        switch scheme {
        case "unix":
            guard rest.hasPrefix("/"), !rest.utf8.contains(0) else { throw .relativePath(text) }
            guard rest.utf8.count <= Self.pathByteCountMax else { throw .pathTooLong(rest) }
            place = .socket(rest)
        case "ssh":
            guard let destination = SSHDestination(parsing: rest) else { throw .invalidDestination(text) }
            place = .ssh(destination)
        case "tcp":
            guard let destination = TCPDestination(parsing: rest) else { throw .invalidAddress(text) }
            place = .tcp(destination)
        default: throw .unsupportedScheme(String(scheme))
        }
    }

    /// The host the user asked for: the option, then `GANTRY_HOST`, then `DOCKER_HOST`, then the user's own engine.
    /// What is empty is unset.
    public static func choose(
        option: String?, environment: [String: String], userID: UInt32 = geteuid()
    ) throws(EngineHostError) -> EngineHost {
        for candidate in [option, environment["GANTRY_HOST"], environment["DOCKER_HOST"]] {
            if let candidate, !candidate.isEmpty { return try EngineHost(parsing: candidate) }
        }
        let path = StandardPaths(userID: userID, environment: environment).socketPath
        // In /tmp anybody may have made the folder, and would be told everything.
        let folder = FileSystem.parent(of: path)
        if userID != 0, StandardPaths.isOwnFolder(folder, userID) == false { throw .unsafeFolder(folder) }
        guard path.utf8.count <= pathByteCountMax else { throw .pathTooLong(path) }
        return EngineHost(socketPath: path)
    }

    /// `nil`: on another machine.
    public var socketPath: String? { if case .socket(let path) = place { path } else { nil } }

    /// Whether paths mean the same files to the engine as to this program.
    public var isLocal: Bool { socketPath != nil }

    /// As messages name it: a path, or `ssh://user@box`.
    public var name: String { socketPath ?? description }

    public var description: String {
        switch place {
        case .socket(let path): "unix://\(path)"
        case .ssh(let destination): "ssh://\(destination)"
        case .tcp(let destination): "tcp://\(destination)"
        }
    }

    private static func schemeEnd(_ text: String) -> String.Index? {
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
        return colon
    }
}

/// Why a host is not one Gantry can talk to.
public enum EngineHostError: Error, Equatable, Sendable {
    case noScheme(String)
    case unsupportedScheme(String)
    case relativePath(String)
    case pathTooLong(String)
    case invalidDestination(String)
    /// No `host:port`.
    case invalidAddress(String)
    /// The folder of the user's own socket is not the user's alone.
    case unsafeFolder(String)
}
