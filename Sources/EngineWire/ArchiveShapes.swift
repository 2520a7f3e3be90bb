/// What `X-Docker-Container-Path-Stat` holds, base64-encoded.
public struct ContainerPathStat: Codable, Equatable, Sendable {
    public var name: String
    public var size: Int64
    /// Go's `os.FileMode`; see `GoFileMode`.
    public var mode: UInt32
    /// RFC 3339.
    public var mtime: String
    /// Of a link: where it leads in the end, absolute in the container.
    public var linkTarget: String

    /// Name of the header field.
    public static let header = "X-Docker-Container-Path-Stat"

    public init(name: String, size: Int64, mode: UInt32, mtime: String, linkTarget: String) {
        self.name = name
        self.size = size
        self.mode = mode
        self.mtime = mtime
        self.linkTarget = linkTarget
    }

    public var isFolder: Bool { mode & GoFileMode.folder != 0 }
    public var isLink: Bool { mode & GoFileMode.link != 0 }
    public var isFile: Bool { mode & GoFileMode.type == 0 }
}

/// Go's `os.FileMode` (package io/fs): the permission bits are Unix's, all others are not.
public enum GoFileMode {
    public static let folder: UInt32 = 1 << 31
    public static let link: UInt32 = 1 << 27
    static let device: UInt32 = 1 << 26
    static let pipe: UInt32 = 1 << 25
    static let socket: UInt32 = 1 << 24
    static let setuid: UInt32 = 1 << 23
    static let setgid: UInt32 = 1 << 22
    static let characterDevice: UInt32 = 1 << 21
    static let sticky: UInt32 = 1 << 20
    static let irregular: UInt32 = 1 << 19
    static let type = folder | link | device | pipe | socket | characterDevice | irregular

    /// From `st_mode` (inode(7)).
    public static func from(_ mode: UInt32) -> UInt32 {
        var result = mode & 0o777
        switch mode & 0o170_000 {
        case 0o100_000: break
        case 0o040_000: result |= folder
        case 0o120_000: result |= link
        case 0o060_000: result |= device
        case 0o020_000: result |= device | characterDevice
        case 0o010_000: result |= pipe
        case 0o140_000: result |= socket
        default: result |= irregular
        }
        if mode & 0o4000 != 0 { result |= setuid }
        if mode & 0o2000 != 0 { result |= setgid }
        if mode & 0o1000 != 0 { result |= sticky }
        return result
    }
}

/// One entry of `GET /containers/{id}/changes`.
public struct ChangeReply: Codable, Equatable, Sendable {
    public var Path: String
    /// 0 changed, 1 added, 2 deleted.
    public var Kind: Int

    public init(Path: String, Kind: Int) {
        self.Path = Path
        self.Kind = Kind
    }

    /// As `docker diff` shows it.
    public var letter: String { Kind == 1 ? "A" : Kind == 2 ? "D" : "C" }
}
