/// Parser directives: comments of the form `# name=value` before anything else in the file.
public struct Directives: Equatable, Sendable {
    /// The frontend's image. Nothing is fetched for it: this package is the frontend.
    public internal(set) var syntax: Word?
    /// `\` or a backquote.
    public internal(set) var escape: Unicode.Scalar = "\\"
    public internal(set) var check: Word?
    private var seen: Set<String> = []

    /// `nil` where the line is not a directive, which ends the directives.
    static func directive(_ line: [Unicode.Scalar]) -> (name: String, value: Range<Int>)? {
        var index = line.firstIndex { !$0.isSpace } ?? line.count
        guard index < line.count, line[index] == "#" else { return nil }
        index = line[(index + 1)...].firstIndex { !$0.isSpace } ?? line.count
        let start = index
        while index < line.count, line[index].isASCII, line[index].isLetter || line[index].isDigit { index += 1 }
        let name = String(scalars: line[start..<index]).lowercased()
        guard ["syntax", "escape", "check"].contains(name) else { return nil }
        while index < line.count, line[index].isSpace { index += 1 }
        guard index < line.count, line[index] == "=" else { return nil }
        index += 1
        while index < line.count, line[index].isSpace { index += 1 }
        let end = line.lastIndex { !$0.isSpace }.map { $0 + 1 } ?? index
        return index < end ? (name, index..<end) : nil
    }

    mutating func add(_ name: String, _ value: Word) throws(Fault) {
        guard seen.insert(name).inserted else {
            throw Fault(.syntax, "only one \(name) parser directive can be used", at: value.range)
        }
        switch name {
        case "syntax": syntax = value
        case "check": check = value
        default:
            guard let scalar = value.text.unicodeScalars.first, ["`", "\\"].contains(value.text) else {
                let message = "invalid escape token '\(value.text)' does not match ` or \\"
                throw Fault(.syntax, message, at: value.range, hint: "write '# escape=`' or '# escape=\\'")
            }
            escape = scalar
        }
    }
}
