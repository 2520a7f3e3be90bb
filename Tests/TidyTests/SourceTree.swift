import Glibc

/// One Swift file of the package, line by line; each line also split into what the compiler sees and its comment.
struct SourceFile {
    struct Line {
        var text: Substring
        /// Without comments and without what stands in string literals.
        var code: String
        /// From `//` on.
        var comment: String
        /// It begins within a string literal.
        var isText: Bool
        var indentation: Int { text.prefix { $0 == " " }.count }
        var isBlank: Bool { text.allSatisfy(\.isWhitespace) }
    }
    /// Relative to the package.
    var path: String
    var lines: [Line]

    init(path: String, text: String) {
        self.path = path
        var literal: Literal?
        var rows = text.split(separator: "\n", omittingEmptySubsequences: false)
        if rows.last?.isEmpty == true { rows.removeLast() }
        lines = rows.map { Self.line($0, &literal) }
    }

    /// A string literal that has begun and not ended.
    private enum Literal: String {
        case plain = "\""
        case raw = "\"#"
        case multiline = "\"\"\""
    }

    private static let (quote, hash, slash, backslash) = (UInt8(34), UInt8(35), UInt8(47), UInt8(92))

    private static func line(_ text: Substring, _ literal: inout Literal?) -> Line {
        let bytes = Array(text.utf8)
        var code: [UInt8] = []
        let startsInString = literal != nil
        var index = 0
        func follows(_ word: String) -> Bool { bytes[index...].starts(with: word.utf8) }
        while index < bytes.count {
            let byte = bytes[index]
            if byte != quote, byte != hash, byte != slash, byte != backslash {
                if literal == nil { code.append(byte) }
                index += 1
            } else if let open = literal {
                if open != .raw, follows("\\") {
                    index += 2
                } else if follows(open.rawValue) {
                    index += open.rawValue.utf8.count
                    literal = nil
                } else {
                    index += 1
                }
            } else if follows(Literal.multiline.rawValue) {
                literal = .multiline
                index += 3
            } else if follows("#\"") {
                literal = .raw
                index += 2
            } else if follows("\"") {
                literal = .plain
                index += 1
            } else if follows("//") {
                break
            } else {
                code.append(byte)
                index += 1
            }
        }
        let comment = String(decoding: bytes[min(index, bytes.count)...], as: UTF8.self)
        if literal != .multiline { literal = nil }
        return Line(text: text, code: String(decoding: code, as: UTF8.self), comment: comment, isText: startsInString)
    }
}

/// The package's folder, from where this file lies in it.
let packageFolder = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()

enum SourceTreeError: Error { case unreadable(String) }

/// All Swift files below a folder of the package, sorted.
func sourceFiles(in folder: String) throws -> [SourceFile] {
    try swiftPaths(in: folder).sorted().map { SourceFile(path: $0, text: try text(of: "\(packageFolder)/\($0)")) }
}

private func swiftPaths(in folder: String) throws -> [String] {
    guard let stream = opendir("\(packageFolder)/\(folder)") else { throw SourceTreeError.unreadable(folder) }
    defer { closedir(stream) }
    var paths: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        guard !name.hasPrefix(".") else { continue }
        let path = "\(folder)/\(name)"
        var status = stat()
        guard stat("\(packageFolder)/\(path)", &status) == 0 else { throw SourceTreeError.unreadable(path) }
        if status.st_mode & S_IFMT == S_IFDIR {
            paths += try swiftPaths(in: path)
        } else if name.hasSuffix(".swift") {
            paths.append(path)
        }
    }
    return paths
}

private func text(of path: String) throws -> String {
    guard let file = fopen(path, "r") else { throw SourceTreeError.unreadable(path) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer.prefix(count) }
    guard ferror(file) == 0 else { throw SourceTreeError.unreadable(path) }
    return String(decoding: bytes, as: UTF8.self)
}
