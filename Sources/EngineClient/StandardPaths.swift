import CLinux
import Glibc

/// Where an engine keeps things when nobody says otherwise: root's in the system's folders, a plain user's in folders
/// of its own, as the XDG Base Directory Specification names them.
public struct StandardPaths: Equatable, Sendable {
    public let dataRoot: String
    public let execRoot: String
    public let socketPath: String

    public init(userID: UInt32, environment: [String: String]) {
        guard userID != 0 else {
            (dataRoot, execRoot, socketPath) = ("/var/lib/gantry", "/run/gantry", "/run/gantry.sock")
            return
        }
        func folder(_ name: String) -> String? {
            // The specification: a relative path is to be ignored.
            environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        let temporary = "/tmp/gantry-\(userID)"
        if let data = folder("XDG_DATA_HOME") ?? folder("HOME").map({ "\($0)/.local/share" }) {
            dataRoot = "\(data)/gantry"
        } else {
            dataRoot = "\(temporary)/data"
        }
        let runtime = folder("XDG_RUNTIME_DIR") ?? Self.ownFolder("/run/user/\(userID)", userID)
        execRoot = runtime.map { "\($0)/gantry" } ?? temporary
        socketPath = "\(execRoot)/gantry.sock"
    }

    /// Of this process.
    public static func current(_ environment: [String: String]) -> StandardPaths {
        StandardPaths(userID: geteuid(), environment: environment)
    }

    /// A login made with `su` has the folder, but not the variable.
    private static func ownFolder(_ path: String, _ userID: UInt32) -> String? {
        isOwnFolder(path, userID) == true ? path : nil
    }

    /// Whether nobody else can put anything into the folder; `nil` when there is none.
    public static func isOwnFolder(_ path: String, _ userID: UInt32) -> Bool? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        return gantry_is_directory(status.st_mode) != 0 && status.st_uid == userID && status.st_mode & 0o022 == 0
    }
}
