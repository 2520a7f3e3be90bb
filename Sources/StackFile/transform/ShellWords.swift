/// Splits a command line into words as a POSIX shell does (POSIX.1-2017, XCU 2.2 Quoting), without expansions: white
/// space separates, single quotes are literal, in double quotes and outside a backslash escapes. `nil` when a quote is
/// not closed or the line ends in a backslash.
func shellWords(_ line: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var rest = line[...]
    while let character = rest.popFirst() {
        if character == "\\", quote != "'" {
            guard let next = rest.popFirst() else { return nil }
            let keepsBackslash = quote == "\"" && !["\"", "\\", "$", "`", "\n"].contains(next)
            word = (word ?? "") + (keepsBackslash ? "\\" : "")
            if next != "\n" { word?.append(next) }
        } else if let open = quote {
            if character == open { quote = nil } else { word?.append(character) }
        } else if character == "'" || character == "\"" {
            quote = character
            word = word ?? ""
        } else if character.isWhitespace {
            if let finished = word { words.append(finished) }
            word = nil
        } else {
            word = (word ?? "") + String(character)
        }
    }
    guard quote == nil else { return nil }
    if let finished = word { words.append(finished) }
    return words
}
