import Glibc
import LinuxSystem

/// What keeps files from being watched.
public enum FileWatchError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The user has no watch left for `path` (inotify(7), `ENOSPC`).
    case watchLimit(path: String)
    /// The user has too many inotify instances (inotify(7), `EMFILE`).
    case instanceLimit
    /// A pattern that means nothing; the text says which and why.
    case pattern(String)
    case system(SystemError)

    public static let watchLimitFile = "/proc/sys/fs/inotify/max_user_watches"
    public static let instanceLimitFile = "/proc/sys/fs/inotify/max_user_instances"

    public var description: String {
        switch self {
        case .watchLimit(let path):
            "no inotify watch is left for '\(path)': the limit in \(Self.watchLimitFile)"
                + "\(Self.value(Self.watchLimitFile)) is reached"
        case .instanceLimit:
            "no inotify instance is left: the limit in \(Self.instanceLimitFile)"
                + "\(Self.value(Self.instanceLimitFile)) is reached"
        case .pattern(let why): why
        case .system(let error): "\(error)"
        }
    }

    /// What somebody can do about it; `nil`: that depends.
    public var hint: String? {
        switch self {
        case .watchLimit:
            "raise it (`sysctl fs.inotify.max_user_watches=524288`), or leave folders out with the rule's 'ignore' or a"
                + " .dockerignore"
        case .instanceLimit: "raise it (`sysctl fs.inotify.max_user_instances=1024`)"
        case .pattern, .system: nil
        }
    }

    private static func value(_ path: String) -> String {
        // Only for the message, which is as good without the number.
        guard let bytes = try? FileSystem.readFile(path) else { return "" }
        let text = String(decoding: bytes.prefix { $0 != 0x0a }, as: UTF8.self)
        return " (\(text))"
    }
}
