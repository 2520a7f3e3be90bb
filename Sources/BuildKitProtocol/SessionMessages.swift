// Messages of the services that a client offers on its session: moby/buildkit, session/{filesync,secrets,auth}, and
// tonistiigi/fsutil, types/wire.proto and stat.proto.

/// `fsutil.types.Stat`: a file of the client's.
public struct SyncedFile: Equatable, Sendable {
    /// Go's `os.FileMode`, whose bits for kinds are its own.
    public struct Mode: Equatable, Sendable {
        public var value: UInt32

        public init(value: UInt32) { self.value = value }

        public var isDirectory: Bool { value & 1 << 31 != 0 }
        public var isLink: Bool { value & 1 << 27 != 0 }
        public var isDevice: Bool { value & 1 << 26 != 0 }
        public var isPipe: Bool { value & 1 << 25 != 0 }
        public var isSocket: Bool { value & 1 << 24 != 0 }
        public var isCharacterDevice: Bool { value & 1 << 21 != 0 }
        /// Its content can be asked for.
        public var isRegular: Bool { value & 0x8F28_0000 == 0 }
        /// As chmod(2) has them, with setuid, setgid and sticky.
        public var permissions: UInt32 {
            value & 0o777 | (value & 1 << 23 != 0 ? 0o4000 : 0) | (value & 1 << 22 != 0 ? 0o2000 : 0)
                | (value & 1 << 20 != 0 ? 0o1000 : 0)
        }
    }

    /// Relative, with `/`.
    public var path = ""
    public var mode = Mode(value: 0)
    public var userID: UInt32 = 0
    public var groupID: UInt32 = 0
    public var byteCount: Int64 = 0
    /// Nanoseconds since 1970.
    public var modifiedAt: Int64 = 0
    /// Of a symbolic link, or another path of the same file.
    public var linkName = ""
    public var attributes: [String: [UInt8]] = [:]

    public init() {}

    init(_ field: ProtobufField) throws(ProtobufError) {
        for field in try field.fields() {
            switch field.number {
            case 1: path = field.text
            case 2: mode = Mode(value: UInt32(truncatingIfNeeded: field.integer))
            case 3: userID = UInt32(truncatingIfNeeded: field.integer)
            case 4: groupID = UInt32(truncatingIfNeeded: field.integer)
            case 5: byteCount = field.integer
            case 6: modifiedAt = field.integer
            case 7: linkName = field.text
            case 10:
                let (key, value) = try field.entry()
                attributes[key] = value
            default: break
            }
        }
    }
}

/// `fsutil.types.Packet` of the stream `DiffCopy`: the client lists its files, is asked for the content of some, and
/// sends that.
public enum SyncPacket: Equatable, Sendable {
    /// A file; `nil` after the last one.
    case file(SyncedFile?)
    /// Of the file with this number in the list; empty after the last piece.
    case data(id: UInt32, [UInt8])
    case end
    case error(String)

    public init(_ bytes: [UInt8]) throws(ProtobufError) {
        var kind: Int64 = 0
        var file: SyncedFile?
        var id: UInt32 = 0
        var data: [UInt8] = []
        for field in try protobufFields(bytes[...]) {
            switch field.number {
            case 1: kind = field.integer
            case 2: file = try SyncedFile(field)
            case 3: id = UInt32(truncatingIfNeeded: field.integer)
            case 4: data = field.bytes
            default: break
            }
        }
        switch kind {
        case 0: self = .file(file)
        case 2: self = .data(id: id, data)
        case 3: self = .end
        case 4: self = .error(String(decoding: data, as: UTF8.self))
        default: throw .malformed
        }
    }

    /// `PACKET_REQ`.
    public static func request(_ id: UInt32) -> [UInt8] {
        ProtobufWriter.bytes { writer in
            writer.number(1, 1)
            writer.number(3, Int64(id))
        }
    }

    /// `PACKET_FIN`.
    public static let finish = ProtobufWriter.bytes { $0.number(1, 3) }
}

/// `GetSecretRequest`.
public func secretRequest(id: String) -> [UInt8] { ProtobufWriter.bytes { $0.text(1, id) } }

/// `GetSecretResponse`.
public func secret(in bytes: [UInt8]) throws(ProtobufError) -> [UInt8] {
    try protobufFields(bytes[...]).first { $0.number == 1 }?.bytes ?? []
}

/// `CredentialsRequest`.
public func credentialsRequest(host: String) -> [UInt8] { ProtobufWriter.bytes { $0.text(1, host) } }

/// `CredentialsResponse`; `username` is empty for an identity token.
public func credentials(in bytes: [UInt8]) throws(ProtobufError) -> (username: String, secret: String) {
    var result = (username: "", secret: "")
    for field in try protobufFields(bytes[...]) {
        if field.number == 1 { result.username = field.text }
        if field.number == 2 { result.secret = field.text }
    }
    return result
}
