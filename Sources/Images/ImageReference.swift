/// A normalised image name: where it comes from, what it is called, and which one
/// (the grammar of `github.com/distribution/reference`).
public struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// Registry host with an optional port, `docker.io` when none was written.
    public let registry: String
    /// Path in the registry, `library/nginx` for `nginx`.
    public let repository: String
    public let tag: String?
    public let digest: Digest?

    public static let defaultRegistry = "docker.io"
    public static let defaultTag = "latest"
    /// Bytes of registry and repository together.
    public static let nameByteCountMax = 255
    public static let tagByteCountMax = 128

    /// Parses what users and stack files write. Without tag and digest the tag is `latest`.
    public init(parsing text: String) throws(ImageError) {
        self = try ReferenceParser(text: text).parse()
    }

    init(registry: String, repository: String, tag: String?, digest: Digest?) {
        self.registry = registry
        self.repository = repository
        self.tag = tag
        self.digest = digest
    }

    /// As users write it: without `docker.io/` and `library/`.
    public var familiar: String { familiarName + suffix }

    /// `familiar` without tag and digest.
    public var familiarName: String {
        var name = canonicalName
        if registry == ImageReference.defaultRegistry {
            let official = "library/"
            name = repository
            let rest = String(repository.dropFirst(official.count))
            // `library/a/b` is not official and must keep its first part; 64 digits alone would be an image's id.
            if repository.hasPrefix(official), !rest.contains("/"), Digest(hex: rest) == nil { name = rest }
        }
        return name
    }

    /// In full: `docker.io/library/nginx:latest`.
    public var canonical: String { canonicalName + suffix }
    public var description: String { familiar }

    var canonicalName: String { "\(registry)/\(repository)" }
    private var suffix: String { (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "") }
}

extension ImageReference: Codable {
    public init(from decoder: any Decoder) throws {
        self = try ImageReference(parsing: decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(canonical)
    }
}

/// Works on bytes: everything the grammar allows is ASCII.
struct ReferenceParser {
    let text: String

    private func invalid(_ why: String) -> ImageError { .invalidReference(text: text, why: why) }

    func parse() throws(ImageError) -> ImageReference {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty else { throw invalid("it is empty") }
        guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw invalid("only visible ASCII characters are allowed")
        }
        var name = bytes[...]
        var digest: Digest?
        if let at = name.firstIndex(of: UInt8(ascii: "@")) {
            digest = try parseDigest(name[(at + 1)...])
            name = name[..<at]
        }
        var tag: String?
        let afterSlash = name.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? name.startIndex
        if let colon = name[afterSlash...].firstIndex(of: UInt8(ascii: ":")) {
            tag = try parseTag(name[(colon + 1)...])
            name = name[..<colon]
        }
        let (registry, repository) = try parseName(name)
        if tag == nil, digest == nil { tag = ImageReference.defaultTag }
        return ImageReference(registry: registry, repository: repository, tag: tag, digest: digest)
    }

    private func parseDigest(_ bytes: ArraySlice<UInt8>) throws(ImageError) -> Digest {
        let written = String(decoding: bytes, as: UTF8.self)
        guard let digest = Digest(written) else {
            throw invalid("a digest is sha256: and 64 lower-case hexadecimal digits")
        }
        return digest
    }

    private func parseTag(_ bytes: ArraySlice<UInt8>) throws(ImageError) -> String {
        guard let first = bytes.first else { throw invalid("the tag after ':' is empty") }
        guard bytes.count <= ImageReference.tagByteCountMax else {
            throw invalid("a tag has at most \(ImageReference.tagByteCountMax) characters")
        }
        guard isWord(first) else { throw invalid("a tag starts with a letter, a digit or '_'") }
        guard bytes.allSatisfy({ isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }) else {
            throw invalid("a tag has only letters, digits, '_', '.' and '-'")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func parseName(_ bytes: ArraySlice<UInt8>) throws(ImageError) -> (registry: String, repository: String) {
        guard !bytes.isEmpty else { throw invalid("the name is empty") }
        guard bytes.count <= ImageReference.nameByteCountMax else {
            throw invalid("a name has at most \(ImageReference.nameByteCountMax) characters")
        }
        if bytes.count == 64, bytes.allSatisfy(Digest.isLowerHex) {
            throw invalid("64 hexadecimal digits are an image id, not a name")
        }
        var registry = ImageReference.defaultRegistry
        var path = bytes
        if let slash = bytes.firstIndex(of: UInt8(ascii: "/")), isRegistry(bytes[..<slash]) {
            registry = try parseRegistry(bytes[..<slash])
            path = bytes[(slash + 1)...]
        }
        let components = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for component in components { try checkPathComponent(component) }
        var repository = String(decoding: path, as: UTF8.self)
        if registry == ImageReference.defaultRegistry, components.count == 1 { repository = "library/" + repository }
        guard registry.utf8.count + 1 + repository.utf8.count <= ImageReference.nameByteCountMax else {
            throw invalid("a name has at most \(ImageReference.nameByteCountMax) characters")
        }
        return (registry, repository)
    }

    /// The first part of a name is a host when it looks like one: a dot, a port, `localhost` or upper case.
    private func isRegistry(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.contains(UInt8(ascii: ".")) || bytes.contains(UInt8(ascii: ":"))
            || bytes.contains(where: { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) })
            || bytes.elementsEqual("localhost".utf8)
    }

    private func parseRegistry(_ bytes: ArraySlice<UInt8>) throws(ImageError) -> String {
        var host = bytes
        if bytes.first == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { throw invalid("'[' without ']'") }
            let address = bytes[(bytes.startIndex + 1)..<end]
            let isAddress = address.allSatisfy { isHex($0) || $0 == UInt8(ascii: ":") }
            guard isAddress, address.contains(UInt8(ascii: ":")) else { throw invalid("bad IPv6 address in '[]'") }
            try checkPort(bytes[(end + 1)...])
        } else {
            if let colon = bytes.firstIndex(of: UInt8(ascii: ":")) {
                try checkPort(bytes[colon...])
                host = bytes[..<colon]
            }
            for label in host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
                try checkHostLabel(label)
            }
        }
        let registry = String(decoding: bytes, as: UTF8.self)
        return registry == "index.docker.io" ? ImageReference.defaultRegistry : registry
    }

    /// Nothing, or a colon and a port number.
    private func checkPort(_ bytes: ArraySlice<UInt8>) throws(ImageError) {
        if bytes.isEmpty { return }
        let port = bytes.dropFirst()
        guard bytes.first == UInt8(ascii: ":"), port.count <= 5, port.allSatisfy(isDigit),
            let number = UInt32(String(decoding: port, as: UTF8.self)), (1...65535).contains(number)
        else { throw invalid("bad port of the registry") }
    }

    private func checkHostLabel(_ label: ArraySlice<UInt8>) throws(ImageError) {
        guard let first = label.first, let last = label.last, isAlphanumeric(first), isAlphanumeric(last),
            label.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") })
        else { throw invalid("bad host name of the registry") }
    }

    /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
    private func checkPathComponent(_ component: ArraySlice<UInt8>) throws(ImageError) {
        guard let first = component.first, let last = component.last else {
            throw invalid("a part of the name is empty")
        }
        guard component.allSatisfy({ isLowerAlphanumeric($0) || isSeparator($0) }) else {
            throw invalid("a name has only lower-case letters, digits, '.', '_', '-' and '/'")
        }
        guard isLowerAlphanumeric(first), isLowerAlphanumeric(last) else {
            throw invalid("each part of a name starts and ends with a letter or digit")
        }
        for run in component.split(whereSeparator: isLowerAlphanumeric) {
            let isDashes = run.allSatisfy { $0 == UInt8(ascii: "-") }
            let isUnderscores = run.count <= 2 && run.allSatisfy { $0 == UInt8(ascii: "_") }
            guard run.count == 1 || isDashes || isUnderscores else {
                throw invalid("between letters and digits goes one of '.', '_', '__' or dashes")
            }
        }
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
    private func isAlphanumeric(_ byte: UInt8) -> Bool { isLowerAlphanumeric(byte | 0x20) && byte >= UInt8(ascii: "0") }
    private func isWord(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || byte == UInt8(ascii: "_") }
    private func isSeparator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }
    private func isHex(_ byte: UInt8) -> Bool { Digest.isLowerHex(byte | 0x20) && byte >= UInt8(ascii: "0") }
}
