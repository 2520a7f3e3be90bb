/// One thing that was looked at on the host.
public struct Finding: Equatable, Sendable {
    public enum Level: String, Sendable, Comparable {
        /// As it should be.
        case ok
        /// Worth knowing; nothing is wrong.
        case note
        /// Something works worse than it could, or not at all for some uses.
        case warning
        /// Containers cannot run, or not be reached.
        case problem

        private var rank: Int {
            switch self {
            case .ok: 0
            case .note: 1
            case .warning: 2
            case .problem: 3
            }
        }

        public static func < (one: Level, other: Level) -> Bool { one.rank < other.rank }
    }

    public enum Group: String, Sendable, CaseIterable {
        case kernel = "Kernel"
        case cgroups = "Control groups"
        case network = "Network"
        case firewall = "Firewall"
        case names = "Name resolution"
        case users = "User namespaces"
        case storage = "Storage"
        case limits = "Limits"
        case engine = "Engine"
    }

    /// Stable and dotted, e.g. `firewall.blocked`; docs/doctor.md lists them.
    public var code: String
    public var group: Group
    public var level: Level
    public var title: String
    /// What it means for the user.
    public var meaning: String?
    /// How to mend it: commands, or what to change.
    public var mend: [String]

    public init(
        _ level: Level, _ code: String, _ group: Group, _ title: String, meaning: String? = nil, mend: [String] = []
    ) {
        self.level = level
        self.code = code
        self.group = group
        self.title = title
        self.meaning = meaning
        self.mend = mend
    }
}
