import Glibc
import StackModel

@testable import StackFile

/// A project in memory: absolute paths to texts.
struct MemoryProject {
    var files: [String: String]
    var environment: [String: String] = ["HOME": "/home/me"]
    var workingDirectory = "/work/demo"

    init(_ text: String) { files = ["/work/demo/compose.yaml": text] }

    init(files: [String: String]) { self.files = files }

    func load(_ change: (inout LoadOptions) -> Void = { _ in }) throws(StackFileError) -> LoadedStack {
        var options = LoadOptions(workingDirectory: workingDirectory, environment: environment)
        change(&options)
        return try loadStack(options, files: access)
    }

    var access: FileAccess {
        let files = self.files
        return FileAccess(
            read: { (path, bytesMax) throws(FileProblem) in
                guard let text = files[path] else { throw .missing }
                let bytes = Array(text.utf8)
                guard bytes.count <= bytesMax else { throw .tooLarge(bytesMax: bytesMax) }
                return bytes
            }, exists: { files[$0] != nil })
    }

    /// The errors of a load that must fail; empty when it did not.
    func errors(_ change: (inout LoadOptions) -> Void = { _ in }) -> [Diagnostic] {
        do throws(StackFileError) {
            _ = try load(change)
            return []
        } catch {
            return error.diagnostics
        }
    }

    /// Codes and places of the errors, for short expectations.
    func places(_ change: (inout LoadOptions) -> Void = { _ in }) -> [String] {
        errors(change).map { "\($0.code) \($0.source?.description ?? "-")" }
    }
}

/// The only service of a file made of one service's lines.
func loadService(_ lines: String, top: String = "", environment: [String: String] = [:]) throws -> Service {
    var project = MemoryProject("services:\n  web:\n    image: app\n" + indented(lines) + top)
    project.environment.merge(environment) { _, new in new }
    let stack = try project.load().stack
    guard let service = stack.services["web"] else { throw MissingService() }
    return service
}

/// The errors of a file made of one service's lines, which start in line 4.
func serviceErrors(_ lines: String, top: String = "") -> [Diagnostic] {
    MemoryProject("services:\n  web:\n    image: app\n" + indented(lines) + top).errors()
}

private func indented(_ lines: String) -> String {
    lines.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)\n" }.joined()
}

struct MissingService: Error {}

/// A reproducible source of randomness (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

// MARK: - Files of the source tree

/// The folder of these tests, without symbolic links.
func sourceFolder(_ file: String = #filePath) -> String {
    guard let real = realpath(file, nil) else { return PathText.directory(of: file) }
    defer { free(real) }
    return PathText.directory(of: String(cString: real))
}

/// The folders below one, sorted.
func folderNames(_ path: String) -> [String] { entries(path).filter { isFolder(path + "/" + $0) } }

/// The Swift files below a folder.
func swiftFiles(_ path: String) -> [String] {
    entries(path).flatMap { name in
        let inner = path + "/" + name
        return isFolder(inner) ? swiftFiles(inner) : name.hasSuffix(".swift") ? [inner] : []
    }
}

func write(_ text: String, to path: String) throws {
    struct CannotWrite: Error { var path: String }
    guard let file = fopen(path, "w") else { throw CannotWrite(path: path) }
    let bytes = Array(text.utf8)
    let written = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, written == bytes.count else { throw CannotWrite(path: path) }
}

private func entries(_ path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
}

private func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}
