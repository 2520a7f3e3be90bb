/// The grammar of image references (distribution/reference): `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
enum ImageName {
    /// Why `text` is no reference; `nil` where it is one.
    static func fault(_ text: String) -> String? {
        let (beforeDigest, digest) = text.cut("@").map { ($0.before, Optional($0.after)) } ?? (text, nil)
        if let digest, !isDigest(digest) { return "invalid digest format" }
        var name = beforeDigest
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") {
            guard isTag(name[name.index(after: colon)...]) else { return "invalid reference format" }
            name = String(name[..<colon])
        }
        guard !name.isEmpty, name.utf8.count <= 255 else { return "invalid reference format" }
        var parts = name.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count > 1, let first = parts.first, isHost(first) { parts.removeFirst() }
        if parts.allSatisfy(isComponent) { return nil }
        let lower = parts.allSatisfy { isComponent(Substring($0.lowercased())) }
        return lower ? "invalid reference format: repository name must be lowercase" : "invalid reference format"
    }

    /// `docker.io/library/NAME:latest` for `NAME`.
    static func normalized(_ text: String) -> String {
        var name = text
        let first = name.split(separator: "/", omittingEmptySubsequences: false)
        if first.count == 1 {
            name = "docker.io/library/" + name
        } else if let host = first.first, !isHost(host) {
            name = "docker.io/" + name
        }
        let last = name.split(separator: "/").last ?? ""
        return last.contains(":") || name.contains("@") ? name : name + ":latest"
    }

    private static func isLowerOrDigit(_ byte: UInt8) -> Bool { byte.isLetterOrDigit && !(0x41...0x5A).contains(byte) }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool { byte.isLetterOrDigit }

    private static func isHost(_ text: Substring) -> Bool {
        guard text == "localhost" || text.contains(".") || text.contains(":") || text != Substring(text.lowercased())
        else {
            return false
        }
        return !text.isEmpty
            && text.utf8.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x2E, 0x3A, 0x5B, 0x5D].contains($0) }
    }

    /// Lower-case letters and digits, between them one `.`, one or two `_`, or any number of `-`.
    private static func isComponent(_ text: Substring) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, isLowerOrDigit(first), isLowerOrDigit(last) else {
            return false
        }
        for run in bytes.split(omittingEmptySubsequences: true, whereSeparator: isLowerOrDigit) {
            let dashes = run.allSatisfy { $0 == 0x2D }
            guard dashes || run.elementsEqual([0x2E]) || run.elementsEqual([0x5F]) || run.elementsEqual([0x5F, 0x5F])
            else {
                return false
            }
        }
        return true
    }

    private static func isTag(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, isLetterOrDigit(first) || first == 0x5F, text.utf8.count <= 128 else {
            return false
        }
        return text.utf8.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    static func isDigest(_ text: String) -> Bool {
        guard let (algorithm, value) = text.cut(":"), !algorithm.isEmpty, value.utf8.count >= 32 else { return false }
        return algorithm.utf8.allSatisfy { isLetterOrDigit($0) || [0x2B, 0x2D, 0x2E, 0x5F].contains($0) }
            && value.utf8.allSatisfy(\.isHexDigit)
    }
}
