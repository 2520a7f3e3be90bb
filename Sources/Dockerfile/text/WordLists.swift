/// How the frontend divides an instruction's line. Quotes and escapes of words stay in them until they are expanded.
struct LineSplitter {
    let text: SourceText
    let escape: Unicode.Scalar

    private var scalars: [Unicode.Scalar] { text.scalars }

    /// The instruction's name, its flags, and what is left without white space at both ends.
    func command(in whole: Range<Int>) -> (keyword: Word, flags: [Word], rest: Range<Int>) {
        let line = text.trimmed(whole)
        var index = line.lowerBound
        while index < line.upperBound, !scalars[index].isBlank { index += 1 }
        let keyword = text.word(line.lowerBound..<index)
        while index < line.upperBound, scalars[index].isBlank { index += 1 }
        let (flags, end) = flags(in: index..<line.upperBound)
        return (keyword, flags, text.trimmed(end..<line.upperBound))
    }

    /// Words that start with `--`, without their quotes, and where the first other word starts. `--` alone ends them.
    private func flags(in range: Range<Int>) -> ([Word], Int) {
        var words: [Word] = []
        var index = range.lowerBound
        while true {
            while index < range.upperBound, scalars[index].isSpace { index += 1 }
            guard index + 1 < range.upperBound, scalars[index] == "-", scalars[index + 1] == "-" else {
                return (words, index)
            }
            let start = index
            let word = unquotedWord(&index, range.upperBound)
            if word == "--" { return (words, index) }
            words.append(Word(word, at: text.range(start..<index)))
        }
    }

    /// A word of a flag: quotes are taken away here, and `\` escapes whatever the escape directive says.
    private func unquotedWord(_ index: inout Int, _ end: Int) -> String {
        var word: [Unicode.Scalar] = []
        var quote: Unicode.Scalar?
        while index < end {
            var scalar = scalars[index]
            if quote == nil, scalar.isSpace { break }
            index += 1
            if let open = quote, scalar == open {
                quote = nil
                continue
            }
            if quote == nil, scalar == "\"" || scalar == "'" {
                quote = scalar
                continue
            }
            if scalar == "\\" {
                guard index < end else { break }
                scalar = scalars[index]
                index += 1
            }
            word.append(scalar)
        }
        return String(scalars: word)
    }

    /// What stands between blanks.
    func blankSeparated(_ range: Range<Int>) -> [Word] {
        var words: [Word] = []
        var index = range.lowerBound
        while index < range.upperBound {
            let start = index
            while index < range.upperBound, !scalars[index].isBlank { index += 1 }
            if index > start { words.append(text.word(start..<index)) }
            while index < range.upperBound, scalars[index].isBlank { index += 1 }
        }
        return words
    }

    /// Words in which quotes and escapes protect white space.
    func quotedWords(_ range: Range<Int>) -> [Word] {
        var words: [Word] = []
        var index = range.lowerBound
        while true {
            while index < range.upperBound, scalars[index].isSpace { index += 1 }
            guard index < range.upperBound else { return words }
            let start = index
            let word = quotedWord(&index, range.upperBound)
            if !word.isEmpty { words.append(Word(String(scalars: word), at: text.range(start..<index))) }
        }
    }

    /// An escape that is the last character of the line is dropped.
    private func quotedWord(_ index: inout Int, _ end: Int) -> [Unicode.Scalar] {
        var word: [Unicode.Scalar] = []
        var quote: Unicode.Scalar?
        while index < end {
            let scalar = scalars[index]
            if quote == nil, scalar.isSpace { break }
            index += 1
            if scalar == escape, quote != "'" {
                guard index < end else { break }
                word += [scalar, scalars[index]]
                index += 1
                continue
            }
            if let open = quote {
                if scalar == open { quote = nil }
            } else if scalar == "\"" || scalar == "'" {
                quote = scalar
            }
            word.append(scalar)
        }
        return word
    }
}
