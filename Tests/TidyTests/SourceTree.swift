import Glibc

/// One Swift file of the package, line by line; each line also split into what the compiler sees and its comment.
struct SourceFile {
    struct Line {
        var text: Substring
        /// Without comments and without what stands in string literals.
        var code: String
        /// From `//` on.
        var comment: Substring
        var indentation: Int { text.prefix { $0 == " " }.count }
        var isBlank: Bool { text.allSatisfy(\.isWhitespace) }
    }
    /// Relative to the package.
    var path: String
    var lines: [Line]

    init(path: String, text: String) {
        self.path = path
        var inMultilineString = false
        var rows = text.split(separator: "\n", omittingEmptySubsequences: false)
        if rows.last?.isEmpty == true { rows.removeLast() }
        lines = rows.map { Self.line($0, &inMultilineString) }
    }

    private static func line(_ text: Substring, _ inMultilineString: inout Bool) -> Line {
        var code = ""
        var inString = false
        var rest = text
        while let character = rest.first {
            if rest.hasPrefix(#"""""#) {
                inMultilineString.toggle()
                rest = rest.dropFirst(3)
            } else if inMultilineString {
                rest = rest.dropFirst()
            } else if inString, character == "\\" {
                rest = rest.dropFirst(2)
            } else if character == "\"" {
                inString.toggle()
                rest = rest.dropFirst()
            } else if !inString, rest.hasPrefix("//") {
                break
            } else {
                if !inString { code.append(character) }
                rest = rest.dropFirst()
            }
        }
        return Line(text: text, code: code, comment: rest)
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
