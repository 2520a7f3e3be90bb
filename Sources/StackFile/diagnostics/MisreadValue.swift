/// Why a text stands where a mapping or a list is wanted, when a slip of the pen made YAML read it as text: a missing
/// space, or list items below a value. `nil` when the text does not look so.
func misreadHint(_ text: String, wantsMapping: Bool, wantsList: Bool) -> String? {
    let shownMax = 60
    if wantsList, text.hasPrefix("-"), !text.hasPrefix("- ") {
        let item = text.dropFirst().prefix { $0 != " " }
        return "a space is missing after '-': write '- \(item.prefix(shownMax))'"
    }
    if wantsMapping, looksLikeKey(text), let colon = text.firstIndex(of: ":") {
        let value = text[text.index(after: colon)...].prefix { $0 != " " }
        return "a space is missing after '\(text[..<colon]):': write '\(text[..<colon]): \(value.prefix(shownMax))'"
    }
    if wantsList, firstOffset(of: [" ", "-", " "], in: Array(text.unicodeScalars)) != nil {
        return "list items below a value belong to it: write every item in a line of its own, after '- '"
    }
    return nil
}

/// `name:value` without a space; not a URL, and not a port, which starts with a digit.
func looksLikeKey(_ content: String) -> Bool {
    guard let colon = content.firstIndex(of: ":"), let first = content.first, first.isLetter || first == "_" else {
        return false
    }
    let after = content[content.index(after: colon)...]
    return !after.isEmpty && !after.hasPrefix("//") && !after.hasPrefix(" ")
        && content[..<colon].allSatisfy { $0.isLetter || $0.isNumber || "_.-".contains($0) }
}
