/// `[SOURCE:]TARGET[:OPTION,…]` of the Compose Specification, chapter volumes.
struct MountSyntax: Equatable {
    var source: String?
    var target: String
    var options: [String] = []

    static let hint = "write [SOURCE:]TARGET[:OPTIONS], for example \"./data:/data:ro\""

    static func parse(_ text: String) throws(SyntaxError) -> MountSyntax {
        guard !text.isEmpty else { throw SyntaxError(message: "a volume must not be empty", hint: hint) }
        if text.count <= 2, !text.contains("/") || text == "/" { return MountSyntax(target: text) }
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
    private static func split(_ text: String) -> [String] {
        var sections: [String] = []
        var section = ""
        let characters = Array(text)
        for (index, character) in characters.enumerated() {
            let isDrive =
                character == ":" && section.count == 1 && section.first?.isLetter == true
                && index + 1 < characters.count && characters[index + 1] == "\\"
            if character == ":", !isDrive {
                sections.append(section)
                section = ""
            } else {
                section.append(character)
            }
        }
        return sections + [section]
    }

    /// A path on the host, not a volume's name.
    var sourceIsPath: Bool {
        guard let first = source?.first else { return false }
        return first == "." || first == "/" || first == "~" || source?.contains("\\") == true
    }
}
