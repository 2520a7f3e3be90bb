/// The user a process runs as, once looked up.
public struct ResolvedUser: Equatable, Sendable {
    public var uid: UInt32
    public var gid: UInt32
    public var groups: [UInt32]
    /// Home folder of /etc/passwd; `/` when there is no entry.
    public var home: String

    public init(uid: UInt32, gid: UInt32, groups: [UInt32], home: String) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home
    }
}

/// `/etc/passwd` and `/etc/group` of a container, passwd(5) and group(5). Pure: takes the files' bytes.
public struct UserDatabase: Sendable {
    public enum Failure: Error, Equatable, Sendable {
        /// The text is not `user[:group]`, or a number is out of range.
        case malformed(String)
        case unknownUser(String)
        case unknownGroup(String)
    }

    /// Numbers above are refused: they wrap to root in some programs (CVE-2024-40635).
    public static let idMax: UInt32 = .max >> 1
    public static let groupsMax = 1024

    private let passwd: [UInt8]
    private let group: [UInt8]

    public init(passwd: [UInt8], group: [UInt8]) {
        self.passwd = passwd
        self.group = group
    }

    /// `text` is `name|uid[:group|gid]`, as in an image's USER. Digits alone are always a number, never a name.
    public func resolve(_ text: String, extraGroups: [String]) throws(Failure) -> ResolvedUser {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let userPart = parts.first, !userPart.isEmpty, parts.count == 1 || !parts[1].isEmpty else {
            throw .malformed(text)
        }
        let user = String(userPart)
        var entry: (name: String, uid: UInt32, gid: UInt32, home: String)?
        if let uid = try Self.number(user) {
            entry = passwdEntry { $0.uid == uid } ?? ("", uid, 0, "/")
        } else {
            entry = passwdEntry { $0.name == user }
        }
        guard let entry else { throw .unknownUser(user) }
        var resolved = ResolvedUser(uid: entry.uid, gid: entry.gid, groups: [], home: entry.home)
        if parts.count == 2 {
            resolved.gid = try groupNumber(String(parts[1]))
        } else if !entry.name.isEmpty {
            resolved.groups = groupsOfMember(entry.name)
        }
        for group in extraGroups { resolved.groups.append(try groupNumber(group)) }
        resolved.groups.append(resolved.gid)
        resolved.groups = Array(Set(resolved.groups)).sorted()
        guard resolved.groups.count <= Self.groupsMax else { throw .malformed(text) }
        return resolved
    }

    /// The home folder of a uid.
    public func home(of uid: UInt32) -> String { passwdEntry { $0.uid == uid }?.home ?? "/" }

    /// The name that goes with a uid.
    public func name(of uid: UInt32) -> String? { passwdEntry { $0.uid == uid }?.name }

    public func groupNumber(_ text: String) throws(Failure) -> UInt32 {
        if let gid = try Self.number(text) { return gid }
        var found: UInt32?
        forEachLine(of: group) { fields in
            if fields.count >= 3, String(decoding: fields[0], as: UTF8.self) == text { found = Self.field(fields[2]) }
            return found == nil
        }
        guard let found else { throw .unknownGroup(text) }
        return found
    }

    private func groupsOfMember(_ name: String) -> [UInt32] {
        var gids: [UInt32] = []
        forEachLine(of: group) { fields in
            guard fields.count >= 4, let gid = Self.field(fields[2]) else { return true }
            let members = fields[3].split(separator: UInt8(ascii: ","))
            if members.contains(where: { String(decoding: $0, as: UTF8.self) == name }) { gids.append(gid) }
            return gids.count < Self.groupsMax
        }
        return gids
    }

    private typealias Account = (name: String, uid: UInt32, gid: UInt32, home: String)

    private func passwdEntry(where matches: (Account) -> Bool) -> Account? {
        var found: Account?
        forEachLine(of: passwd) { fields in
            guard fields.count >= 6, let uid = Self.field(fields[2]), let gid = Self.field(fields[3]) else {
                return true
            }
            let home = String(decoding: fields[5], as: UTF8.self)
            let entry = (String(decoding: fields[0], as: UTF8.self), uid, gid, home.isEmpty ? "/" : home)
            if matches(entry) { found = entry }
            return found == nil
        }
        return found
    }

    /// Calls `body` with the fields of each line until it answers `false`.
    private func forEachLine(of bytes: [UInt8], _ body: ([ArraySlice<UInt8>]) -> Bool) {
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard body(line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)) else { return }
        }
    }

    private static func field(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        do throws(Failure) {
            return try number(String(decoding: bytes, as: UTF8.self))
        } catch {
            return nil  // A line with a bad number is no entry.
        }
    }

    /// `nil` when `text` is not all digits; digits out of range are an error, never a name.
    static func number(_ text: String) throws(Failure) -> UInt32? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            // What only looks like a number (`0x0`, `-1`, ` 1000`) must not be taken for a name either.
            if let first = text.utf8.first, first == UInt8(ascii: "-") || first == UInt8(ascii: " ") {
                throw .malformed(text)
            }
            return nil
        }
        guard let number = UInt32(text), number <= idMax else { throw .malformed(text) }
        return number
    }
}
