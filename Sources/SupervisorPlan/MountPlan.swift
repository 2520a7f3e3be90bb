/// `key=value` or a bare flag for `fsconfig(2)`.
public struct MountParameter: PlanCodable, Equatable {
    public var key: String
    public var value: String?

    public init(_ key: String, _ value: String? = nil) {
        self.key = key
        self.value = value
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(key)
        encoder.put(value)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        key = try decoder.string()
        value = try decoder.optionalString()
    }
}

/// How a mount's source and target are looked up and filled.
public struct MountBehaviour: OptionSet, Sendable, Equatable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A source that is a symbolic link is bound as the link it is.
    public static let noFollowSource = MountBehaviour(rawValue: 1)
    /// A target that is a symbolic link is mounted over.
    public static let noFollowTarget = MountBehaviour(rawValue: 2)
    /// A source that is a symbolic link is made again at the target, and nothing mounted.
    public static let copySymlink = MountBehaviour(rawValue: 4)
    /// A tmpfs starts with a copy of what is at the target.
    public static let copyUp = MountBehaviour(rawValue: 8)
}

/// One mount inside the container, in order.
public struct MountPlan: PlanCodable, Equatable {
    public enum Kind: UInt8, Sendable {
        /// A host path (`source`) or everything below it.
        case bind = 0
        /// A new file system of type `source`.
        case fileSystem = 1
        /// `proc` or `sysfs`: only on a real directory, links refused.
        case kernel = 2
        /// The tmpfs at /dev with its default nodes and links.
        case devices = 3
        /// /sys/fs/cgroup: v2, or a tmpfs with the v1 hierarchies of `parameters` (value: directory name).
        case cgroups = 4
        /// As `cgroups` where the container has no cgroup namespace: the folders of the host named by `parameters`
        /// (key: the folder, value: directory name, none for the target itself) are bound.
        case cgroupFolders = 5
        /// Changes attributes, propagation or parameters of what is mounted at the target.
        case remount = 6
    }

    public var kind: Kind
    public var source: String
    /// Absolute path inside the container.
    public var target: String
    /// `MOUNT_ATTR_*` to set and to clear.
    public var attributesSet: UInt64
    public var attributesClear: UInt64
    /// The same for the whole tree (`rro` and its like).
    public var treeAttributesSet: UInt64
    public var treeAttributesClear: UInt64
    /// Bind: the tree below the source, not just its mount.
    public var recursive: Bool
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or `MS_UNBINDABLE`, for bind mounts.
    public var propagation: UInt64
    public var propagationRecursive: Bool
    public var parameters: [MountParameter]
    /// Bind: ids are mapped as in this user namespace; see `IDMapPlan` for empty maps.
    public var idMap: IDMapPlan?
    public var idMapRecursive: Bool
    public var behaviour: MountBehaviour

    public init(kind: Kind, source: String, target: String) {
        self.kind = kind
        self.source = source
        self.target = target
        attributesSet = 0
        attributesClear = 0
        treeAttributesSet = 0
        treeAttributesClear = 0
        recursive = false
        propagation = 0
        propagationRecursive = false
        parameters = []
        idMapRecursive = false
        behaviour = []
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(kind.rawValue)
        encoder.put(source)
        encoder.put(target)
        encoder.put(attributesSet)
        encoder.put(attributesClear)
        encoder.put(treeAttributesSet)
        encoder.put(treeAttributesClear)
        encoder.put(recursive)
        encoder.put(propagation)
        encoder.put(propagationRecursive)
        encoder.put(parameters)
        encoder.put(idMap)
        encoder.put(idMapRecursive)
        encoder.put(behaviour.rawValue)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        kind = try decoder.choice("mount kind")
        source = try decoder.string()
        target = try decoder.string()
        guard target.hasPrefix("/") else { throw .badValue(field: "mount target") }
        attributesSet = try decoder.integer()
        attributesClear = try decoder.integer()
        treeAttributesSet = try decoder.integer()
        treeAttributesClear = try decoder.integer()
        recursive = try decoder.bool()
        propagation = try decoder.integer()
        propagationRecursive = try decoder.bool()
        parameters = try decoder.values()
        idMap = try decoder.optional()
        idMapRecursive = try decoder.bool()
        behaviour = MountBehaviour(rawValue: try decoder.integer())
    }
}

/// A device node to make below the container's /dev, `mknod(2)`.
public struct DevicePlan: PlanCodable, Equatable {
    public enum Kind: UInt8, Sendable { case character = 0, block = 1, fifo = 2 }

    public var kind: Kind
    public var path: String
    public var major: UInt32
    public var minor: UInt32
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32

    public init(
        kind: Kind, path: String, major: UInt32, minor: UInt32, mode: UInt32 = 0o666, uid: UInt32 = 0, gid: UInt32 = 0
    ) {
        self.kind = kind
        self.path = path
        self.major = major
        self.minor = minor
        self.mode = mode
        self.uid = uid
        self.gid = gid
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(kind.rawValue)
        encoder.put(path)
        for number in [major, minor, mode, uid, gid] { encoder.put(number) }
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        kind = try decoder.choice("device kind")
        path = try decoder.string()
        major = try decoder.integer()
        minor = try decoder.integer()
        mode = try decoder.integer()
        uid = try decoder.integer()
        gid = try decoder.integer()
    }
}

/// A file whose content comes with the plan (a secret or config): kept on a tmpfs, bound read-only over its target.
public struct FilePlan: PlanCodable, Equatable {
    public var path: String
    public var bytes: [UInt8]
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32

    public init(path: String, bytes: [UInt8], mode: UInt32, uid: UInt32, gid: UInt32) {
        self.path = path
        self.bytes = bytes
        self.mode = mode
        self.uid = uid
        self.gid = gid
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(path)
        encoder.put(bytes)
        for number in [mode, uid, gid] { encoder.put(number) }
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        path = try decoder.string()
        guard path.hasPrefix("/") else { throw .badValue(field: "file path") }
        bytes = try decoder.byteArray()
        mode = try decoder.integer()
        uid = try decoder.integer()
        gid = try decoder.integer()
    }
}

/// Where the container's root comes from.
public enum RootPlan: PlanCodable, Equatable {
    /// overlayfs; `lower` from the topmost layer down. `userExtended`: `userxattr`, for user namespaces.
    case overlay(lower: [String], upper: String, work: String, volatile: Bool, userExtended: Bool)
    case directory(String)

    public func encode(into encoder: inout PlanEncoder) {
        switch self {
        case .overlay(let lower, let upper, let work, let volatile, let userExtended):
            encoder.put(UInt8(0))
            encoder.put(lower)
            encoder.put(upper)
            encoder.put(work)
            encoder.put(volatile)
            encoder.put(userExtended)
        case .directory(let path):
            encoder.put(UInt8(1))
            encoder.put(path)
        }
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        let kind: UInt8 = try decoder.integer()
        switch kind {
        case 0:
            let lower = try decoder.strings()
            guard !lower.isEmpty else { throw .badValue(field: "lower directories") }
            self = .overlay(
                lower: lower, upper: try decoder.string(), work: try decoder.string(), volatile: try decoder.bool(),
                userExtended: try decoder.bool())
        case 1: self = .directory(try decoder.string())
        default: throw .badValue(field: "root kind")
        }
    }
}
