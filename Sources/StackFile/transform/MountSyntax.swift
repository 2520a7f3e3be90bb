/// `[SOURCE:]TARGET[:OPTION,…]` of the Compose Specification, chapter volumes.
struct MountSyntax: Equatable {
    var source: String?
    var target: String
    var options: [String] = []
    /// Too short for more than a target; Docker Compose prints no `volume` with it.
    var isBare = false

    static let hint = "write [SOURCE:]TARGET[:OPTIONS], for example \"./data:/data:ro\""

    static func parse(_ text: String) throws(SyntaxError) -> MountSyntax {
        guard !text.isEmpty else { throw SyntaxError(message: "a volume must not be empty", hint: hint) }
        if text.utf8.count <= 2 { return MountSyntax(target: text, isBare: true) }
        // As in compose-go one letter before a colon is a drive.
        let sections = split(text)
        guard !sections.contains(where: \.isEmpty) else {
            throw SyntaxError(message: "empty section between colons in volume '\(text)'", hint: hint)
        }
        switch sections.count {
        case 1: return MountSyntax(target: sections[0])
        case 2: return MountSyntax(source: sections[0], target: sections[1])
        case 3:
            let options = sections[2].split(separator: ",").map(String.init)
            return MountSyntax(source: sections[0], target: sections[1], options: options)
        default: throw SyntaxError(message: "too many colons in volume '\(text)'", hint: hint)
        }
    }

    /// Splits at colons, keeping the drive of a Windows path (`C:\`) with it.
    static func split(_ text: String) -> [String] {
        var sections: [String] = []
        var section = String.UnicodeScalarView()
        /// Open braces of `${…}`, whose colons belong to them.
        var depth = 0
        var previous: Unicode.Scalar?
        for character in text.unicodeScalars {
            if character == "{", previous == "$" || depth > 0 { depth += 1 }
            if character == "}", depth > 0 { depth -= 1 }
            previous = character
            let isDrive = character == ":" && section.count == 1 && section.first?.properties.isAlphabetic == true
            if character == ":", !isDrive, depth == 0 {
                sections.append(String(section))
                section = String.UnicodeScalarView()
            } else {
                section.append(character)
            }
        }
        return sections + [String(section)]
    }

    /// A path on the host, not a volume's name.
    var sourceIsPath: Bool {
        guard let first = source?.first else { return false }
        let isWindows = source.map { isWindowsPath($0) || $0.dropFirst().first == ":" } ?? false
        return first == "." || first == "/" || first == "~" || isWindows
    }
}

/// `C:\data`, `c:/data` or `\\server\share`.
func isWindowsPath(_ text: String) -> Bool {
    if text.hasPrefix("\\\\") { return true }
    let head = Array(text.unicodeScalars.prefix(3))
    return head.count == 3 && head[0].properties.isAlphabetic && head[1] == ":" && (head[2] == "\\" || head[2] == "/")
}
