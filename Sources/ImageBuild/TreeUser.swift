import Images
import LinuxSystem

/// Who owns what a build makes: passwd(5) and group(5) of the tree that is built.
struct TreeUser: Equatable, Sendable {
    var uid: UInt32
    var gid: UInt32

    static let root = TreeUser(uid: 0, gid: 0)

    private static let fileByteCountMax = 4 << 20

    private init(uid: UInt32, gid: UInt32) {
        self.uid = uid
        self.gid = gid
    }

    /// `UID` or `UID:GID`; a UID alone is the group's number, too. nil where there is a name in it.
    init?(numbers text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let uid = UInt32(parts[0]) else { return nil }
        guard parts.count == 2 else {
            (self.uid, gid) = (uid, uid)
            return
        }
        guard let gid = UInt32(parts[1]) else { return nil }
        (self.uid, self.gid) = (uid, gid)
    }

    /// `USER[:GROUP]`, each a name or a number.
    init(_ text: String, in tree: TreeRoot) throws(BuildFailure) {
        if let numbers = TreeUser(numbers: text) {
            self = numbers
            return
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let user = parts.first ?? ""
        if let number = UInt32(user) {
            (uid, gid) = (number, number)
        } else {
            let fields = try Self.line(of: user, in: "/etc/passwd", tree)
            guard let fields, fields.count >= 4, let uid = UInt32(fields[2]), let gid = UInt32(fields[3]) else {
                throw BuildFailure.failed(
                    "user", "there is no user '\(user)' in the image's /etc/passwd",
                    hint: "make it with RUN useradd before, or write numbers")
            }
            (self.uid, self.gid) = (uid, gid)
        }
        guard parts.count == 2, let group = parts.last else { return }
        if let number = UInt32(group) {
            gid = number
            return
        }
        let fields = try Self.line(of: group, in: "/etc/group", tree)
        guard let fields, fields.count >= 3, let number = UInt32(fields[2]) else {
            throw BuildFailure.failed(
                "user", "there is no group '\(group)' in the image's /etc/group",
                hint: "make it with RUN groupadd before, or write numbers")
        }
        gid = number
    }

    private static func line(of name: String, in path: String, _ tree: TreeRoot) throws(BuildFailure) -> [Substring]? {
        let bytes: [UInt8]
        do throws(CopyError) {
            bytes = try tree.content(path, byteCountMax: fileByteCountMax)
        } catch {
            throw BuildFailure.failed("user", "\(path) of the image cannot be read: \(error)")
        }
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let fields = String(decoding: line, as: UTF8.self).split(separator: ":", omittingEmptySubsequences: false)
            if let first = fields.first, first == name { return fields }
        }
        return nil
    }
}
