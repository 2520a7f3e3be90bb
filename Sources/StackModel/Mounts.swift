public struct Mount: Codable, Equatable, Sendable {
    public enum Kind: String, Codable, Sendable { case bind, cluster, image, npipe, tmpfs, volume }

    /// Which mounts below a bind source come along (Docker's `bind-recursive`).
    public enum Recursion: String, Codable, Sendable { case enabled, disabled, writable, readonly }

    public var kind: Kind
    /// Bind: absolute host path. Volume: the stack's volume key, `nil` for an anonymous volume. Image: its reference.
    /// Tmpfs: `nil`.
    public var source: String?
    public var target: String
    public var readOnly: Bool
    /// `cached`, `delegated` or `consistent`; without a meaning on Linux.
    public var consistency: String?
    /// Bind: make a missing source folder (short syntax does).
    public var createHostPath: Bool
    /// Bind: `rprivate`, `rslave`, `rshared`, `private`, `slave`, `shared`.
    public var propagation: String?
    public var recursion: Recursion?
    /// Bind: `z` (shared between containers) or `Z` (private): relabel the source for SELinux.
    public var selinux: String?
    /// Volume: do not copy the image's content at `target` into a new volume.
    public var noCopy: Bool
    /// Volume, image: the folder inside it that is mounted.
    public var subpath: String?
    /// Volume: labels of one that is made for this mount.
    @Sparse public var volumeLabels: [String: String] = [:]
    /// Tmpfs: bytes.
    public var size: Int64?
    /// Tmpfs: permission bits.
    public var mode: UInt32?

    public init(kind: Kind, source: String? = nil, target: String, readOnly: Bool = false) {
        self.kind = kind
        self.source = source
        self.target = target
        self.readOnly = readOnly
        createHostPath = false
        noCopy = false
    }
}

/// A config or secret as one service sees it.
public struct FileMount: Codable, Equatable, Sendable {
    /// Key in the stack's `configs` or `secrets`.
    public var source: String
    /// Absolute path in the container (`/NAME` for configs, `/run/secrets/NAME` for secrets by default).
    public var target: String
    public var uid: UInt32
    public var gid: UInt32
    public var mode: UInt32

    public init(source: String, target: String, uid: UInt32 = 0, gid: UInt32 = 0, mode: UInt32 = 0o444) {
        self.source = source
        self.target = target
        self.uid = uid
        self.gid = gid
        self.mode = mode
    }
}
