/// A git repository and what of it is meant, as BuildKit reads it (`dfgitutil`, `gitutil`): `https://HOST/X.git`,
/// `http://`, `git://`, `ssh://`, `USER@HOST:PATH`, each with `#REF:FOLDER` or `?branch=…&subdir=…`.
public struct GitReference: Equatable, Sendable {
    /// Without fragment and query.
    public var remote: String
    /// A branch, a tag, `refs/…` or a commit; nil is the default branch.
    public var reference: String?
    /// Where in the repository; nil is its top.
    public var subfolder: String?
    /// A commit, or how it begins, that `reference` must be.
    public var checksum: String?
    /// What the address says of `--keep-git-dir`.
    public var keepsGitFolder: Bool?
    /// Submodules are checked out, too.
    public var hasSubmodules = true

    private static let byteCountMax = 8 << 10

    init(remote: String) { self.remote = remote }

    /// nil for what is no git repository: a path, or an http address that does not end in `.git`.
    ///
    /// - Parameter isContext: of a build context, where `github.com/OWNER/NAME` is one, too.
    public init?(_ text: String, isContext: Bool = false) throws(BuildError) {
        guard text.utf8.count <= Self.byteCountMax, !text.hasPrefix("./"), !text.hasPrefix("../") else { return nil }
        if let end = text.firstIndex(of: ":"), text[end...].hasPrefix("://") {
            guard let parsed = try Self(url: text, scheme: text[..<end].lowercased()) else { return nil }
            self = parsed
        } else if text.hasPrefix("github.com/"), isContext {
            guard let parsed = try Self(url: "https://" + text, scheme: "https", needsSuffix: false) else { return nil }
            self = parsed
        } else {
            guard let parsed = try Self(secureCopy: text) else { return nil }
            self = parsed
        }
        try check()
    }

    private init?(url text: String, scheme: String, needsSuffix: Bool = true) throws(BuildError) {
        guard ["http", "https", "git", "ssh"].contains(scheme) else { return nil }
        let (rest, fragment) = AddressParts.cut(text[...], "#")
        let (address, query) = AddressParts.cut(rest, "?")
        if needsSuffix, scheme.hasPrefix("http"), !address.hasSuffix(".git") { return nil }
        remote = String(address)
        if let fragment {
            guard let fragment = AddressParts.decoded(fragment) else {
                throw .invalid("\(text.debugDescription) has a broken escape behind #")
            }
            setFragment(fragment)
        }
        if let query { try setQuery(query) }
    }

    /// `USER@HOST:PATH`, which is ssh.
    private init?(secureCopy text: String) throws(BuildError) {
        let (rest, fragment) = AddressParts.cut(text[...], "#")
        let (address, query) = AddressParts.cut(rest, "?")
        let (user, place) = AddressParts.cut(address, "@")
        guard let (host, path) = place.map({ AddressParts.cut($0, ":") }), let path, !path.isEmpty else { return nil }
        func isWord(_ text: Substring, _ others: String) -> Bool {
            !text.isEmpty
                && text.utf8.allSatisfy { byte in
                    (0x61...0x7A).contains(byte | 0x20) && byte >= 0x41 || (0x30...0x39).contains(byte)
                        || others.utf8.contains(byte)
                }
        }
        guard isWord(user, "-_"), isWord(host, "-.") else { return nil }
        remote = String(address)
        if let fragment { setFragment(String(fragment)) }
        if let query { try setQuery(query) }
    }

    private mutating func setFragment(_ text: String) {
        let (reference, folder) = AddressParts.cut(text[...], ":")
        self.reference = reference.isEmpty ? nil : String(reference)
        subfolder = folder.flatMap { $0.isEmpty ? nil : String($0) }
    }

    // MARK: - The query

    private mutating func setQuery(_ text: Substring) throws(BuildError) {
        var known: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let (rawName, rawValue) = AddressParts.cut(pair, "=")
            guard let name = AddressParts.decoded(rawName, isQuery: true),
                let value = AddressParts.decoded(rawValue ?? "", isQuery: true)
            else { throw .invalid("query \(String(pair).debugDescription) has a broken escape") }
            guard known.updateValue(value, forKey: name) == nil else {
                throw .invalid("query \(name.debugDescription) has multiple values")
            }
            guard !value.isEmpty || name == "submodules" || name == "keep-git-dir" else {
                throw .invalid("query \(name.debugDescription) has no value")
            }
        }
        for (name, value) in known.sorted(by: { $0.key < $1.key }) { try set(name, value) }
        if let tag = known["tag"], let branch = known["branch"] {
            throw .invalid("branch \(branch.debugDescription) conflicts with tag \(tag.debugDescription)")
        }
        if reference == nil { reference = checksum }
    }

    private mutating func set(_ name: String, _ value: String) throws(BuildError) {
        switch name {
        case "ref": try setReference(value)
        case "tag": try setReference(value.hasPrefix("refs/tags/") ? value : "refs/tags/\(value)")
        case "branch": try setReference(value.hasPrefix("refs/heads/") ? value : "refs/heads/\(value)")
        case "subdir":
            guard subfolder == nil || subfolder == value else {
                throw .invalid("subdir conflicts: \((subfolder ?? "").debugDescription) vs \(value.debugDescription)")
            }
            subfolder = value
        case "checksum", "commit":
            guard checksum == nil || checksum == value else {
                throw .invalid("checksum conflicts: \((checksum ?? "").debugDescription) vs \(value.debugDescription)")
            }
            checksum = value
        case "keep-git-dir": keepsGitFolder = try truth(name, value)
        case "submodules": hasSubmodules = try truth(name, value)
        default: throw .invalid("unexpected query \(name.debugDescription)")
        }
    }

    private mutating func setReference(_ value: String) throws(BuildError) {
        guard reference == nil || reference == value else {
            throw .invalid("ref conflicts: \((reference ?? "").debugDescription) vs \(value.debugDescription)")
        }
        reference = value
    }

    /// Go's `strconv.ParseBool`.
    private func truth(_ name: String, _ value: String) throws(BuildError) -> Bool {
        switch value {
        case "", "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False": return false
        default: throw .invalid("invalid \(name) value: \(value.debugDescription)")
        }
    }

    // MARK: - What git may be told

    /// Nothing of it can be taken for an option, for two arguments, or for what git gives a meaning of its own.
    private func check() throws(BuildError) {
        let host = remote.split(separator: "/").dropFirst(remote.contains("://") ? 1 : 0).first ?? ""
        let isPlain = remote.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7f && $0 != "\\" }
        guard isPlain, !remote.hasPrefix("-"), !host.hasPrefix("-"), !host.contains("@-") else {
            throw .invalid("\(AddressParts.withoutUser(remote).debugDescription) is no address of a git repository")
        }
        if let reference, !Self.isReference(reference) {
            throw .invalid("\(reference.debugDescription) is no branch, tag or commit")
        }
        if let checksum, !Self.isHex(checksum) {
            throw .invalid("\(checksum.debugDescription) is no commit: it has up to 64 digits of 0-9 and a-f")
        }
    }

    /// git-check-ref-format(1), about; and not `-x`.
    static func isReference(_ text: String) -> Bool {
        let forbidden = Set(" ~^:?*[\\".unicodeScalars)
        return !text.isEmpty && !text.hasPrefix("-") && !text.hasPrefix("/") && !text.hasSuffix("/")
            && !text.hasSuffix(".lock") && !text.contains("..") && !text.contains("@{") && !text.contains("//")
            && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7f && !forbidden.contains($0) }
    }

    static func isHex(_ text: String) -> Bool {
        let digitCountMax = 64
        return !text.isEmpty && text.utf8.count <= digitCountMax
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    /// A whole commit: SHA-1 or SHA-256.
    static func isCommit(_ text: String) -> Bool { isHex(text) && (text.utf8.count == 40 || text.utf8.count == 64) }
}
