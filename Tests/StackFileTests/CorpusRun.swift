import Glibc
import StackModel
import Testing

@testable import StackFile

/// A stack of the corpus and what Docker Compose makes of it.
struct CorpusRun: Sendable, CustomTestStringConvertible {
    var name: String
    /// The folder that `@ROOT@` stands for.
    var root: String
    var workingDirectory: String
    /// Global options of `docker compose`, and options of `config`.
    var arguments: [String]
    var environment: [String: String]
    /// The answer, with `@ROOT@` in paths.
    var expected: JSONValue
    /// The answer as YAML; `nil` when it is not kept.
    var expectedYAML: String?

    var testDescription: String { name }

    /// The same environment as in refresh_expected.py.
    static let baseEnvironment = ["HOME": "/home/me", "PATH": "/usr/bin:/bin"]

    /// What this package prints for the run.
    func found() throws -> JSONValue {
        try JSONValue(parsing: try loadDocument(options()).render(.json))
    }

    func differences() throws -> [JSONDifference] {
        let expected = expected.mapStrings { Self.placed($0, at: root) }
        return JSONDifference.all(found: try found(), expected: expected)
    }

    /// The lines of the YAML that differ, at most `lines`; `nil` when none does.
    func differenceInYAML(lines linesMax: Int) throws -> String? {
        guard let expectedYAML else { return nil }
        let expected = Self.placed(expectedYAML, at: root).split(separator: "\n", omittingEmptySubsequences: false)
        let found = try loadDocument(options()).render(.yaml).split(
            separator: "\n", omittingEmptySubsequences: false)
        guard
            let start = (0..<max(found.count, expected.count)).first(where: { index in
                index >= found.count || index >= expected.count || found[index] != expected[index]
            })
        else { return nil }
        let shown = { (text: [Substring]) in text.dropFirst(start).prefix(linesMax).joined(separator: "\n") }
        return "line \(start + 1), found:\n\(shown(found))\nexpected:\n\(shown(expected))"
    }

    private func options() throws -> LoadOptions {
        let environment = Self.baseEnvironment.merging(environment) { _, new in new }
        var options = LoadOptions(workingDirectory: workingDirectory, environment: environment)
        var words = arguments[...]
        while let word = words.popFirst() {
            switch word {
            case "-f": options.files.append(try Self.value(&words))
            case "-p": options.projectName = try Self.value(&words)
            case "--project-directory": options.projectDirectory = try Self.value(&words)
            case "--profile": options.profiles.append(try Self.value(&words))
            case "--env-file": options.envFiles.append(try Self.value(&words))
            case "--no-interpolate": options.interpolates = false
            case "--no-normalize": options.normalizes = false
            case "--no-path-resolution": options.resolvesPaths = false
            case "--no-consistency": options.checksConsistency = false
            case "--no-env-resolution": options.resolvesEnvironment = false
            default:
                guard !word.hasPrefix("-") else { throw UnknownArgument(word: word) }
                options.targetServices.append(word)
                options.selectsTargets = true
            }
        }
        return options
    }

    private static func value(_ words: inout ArraySlice<String>) throws -> String {
        guard let value = words.popFirst() else { throw UnknownArgument(word: "") }
        return value
    }

    /// The text with paths for the placeholders of refresh_expected.py.
    static func placed(_ text: String, at root: String) -> String {
        var folders = root.split(separator: "/")
        var text = text
        for name in ["@ROOT@", "@PARENT@", "@GRANDPARENT@"] {
            text = replaced(name, by: "/" + folders.joined(separator: "/"), in: text)
            if !folders.isEmpty { folders.removeLast() }
        }
        return text
    }

    private static func replaced(_ word: String, by replacement: String, in text: String) -> String {
        guard text.contains(word) else { return text }
        return text.split(separator: word, omittingEmptySubsequences: false).joined(separator: replacement)
    }
}

struct UnknownArgument: Error {
    var word: String
}

extension CorpusRun {
    static let testFolder = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined()

    /// The folders of Stacks/.
    static let stacks: [CorpusRun] = {
        let folder = testFolder + "/Stacks"
        return names(in: folder).compactMap { name in
            let root = folder + "/" + name
            guard let expected = document(root + "/expected.json") else { return nil }
            let settings = document(root + "/case.json")
            let files = settings?["files"]?.items.compactMap(\.text).flatMap { ["-f", $0] } ?? []
            let words = ["args", "config"].flatMap { settings?[$0]?.items.compactMap(\.text) ?? [] }
            return CorpusRun(
                name: name, root: root, workingDirectory: root, arguments: files + words,
                environment: settings?["env"]?.strings ?? [:], expected: expected,
                expectedYAML: text(of: root + "/expected.yaml"))
        }
    }()

    /// The stacks once more, each with flags of `config`.
    static let stacksWithFlags: [CorpusRun] = {
        let lines = text(of: testFolder + "/Expected/stacks-with-flags.jsonl") ?? ""
        let known = Dictionary(uniqueKeysWithValues: CorpusRun.stacks.map { ($0.name, $0) })
        return lines.split(separator: "\n").compactMap { line in
            guard let row = document(text: String(line)), let name = row["stack"]?.text, var run = known[name],
                let flags = row["config"]?.items.compactMap(\.text), let answer = row["json"]
            else { return nil }
            run.name += " " + flags.joined(separator: " ")
            run.arguments += flags
            run.expected = answer
            run.expectedYAML = nil
            return run
        }
    }()

    /// The folder of Docker Compose's own cases, beside the package.
    static let casesFolder: String? = {
        let package = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let named = getenv("COMPOSE_CASES").map { String(cString: $0) }
        let folder = named ?? package + "/../shared/reference/compose-cases"
        guard let path = realpath(folder, nil) else { return nil }
        defer { free(path) }
        return String(cString: path)
    }()

    /// The lines of Expected/compose-cases.jsonl whose run is of this kind.
    static func cases(_ kind: String) -> [CorpusRun] {
        guard let root = casesFolder, let lines = text(of: testFolder + "/Expected/compose-cases.jsonl") else {
            return []
        }
        return lines.split(separator: "\n").compactMap { line in
            guard let row = document(text: String(line)), row["run"]?.text == kind,
                let path = row["path"]?.text, let answer = row["json"]
            else { return nil }
            let arguments = (row["args"]?.items ?? []).compactMap(\.text).map { placed($0, at: root) }
            let folder = arguments.firstIndex(of: "--project-directory").map { arguments[$0 + 1] } ?? root
            return CorpusRun(
                name: path + " " + kind, root: root, workingDirectory: folder, arguments: arguments,
                environment: row["env"]?.strings ?? [:], expected: answer, expectedYAML: nil)
        }
    }

    /// The written list of places where this package means to differ: stack, path, reason. The path `yaml` stands for
    /// the text of the YAML.
    static let knownDifferences: [(name: String, path: String)] = {
        let lines = text(of: testFolder + "/Stacks/differences.txt") ?? ""
        return lines.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
            let fields = line.split(separator: "\t").map(String.init)
            return fields.count == 3 ? (fields[0], fields[1]) : nil
        }
    }()

    private static func document(_ path: String) -> JSONValue? { text(of: path).flatMap(document(text:)) }

    private static func document(text: String) -> JSONValue? {
        // What cannot be read is missed by the tests that count the runs, or differs.
        try? JSONValue(parsing: text)
    }

    private static func text(of path: String) -> String? {
        // Of a file that is not there, nothing is expected.
        guard let bytes = try? FileAccess.system.read(path, 16 * 1024 * 1024) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}
