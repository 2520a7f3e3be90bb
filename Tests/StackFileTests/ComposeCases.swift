import Glibc
import StackModel
import Testing

@testable import StackFile

/// The stack files and vectors of compose-go's tests; they stand beside the repository where that is developed, not in
/// it.
enum ComposeCases {
    static let folder = PathText.clean(sourceFolder() + "/../../../shared/reference/compose-cases")

    static var isPresent: Bool { access(folder + "/index.tsv", R_OK) == 0 }

    static let rows: [CaseRow] = lines("index.tsv").dropFirst().compactMap(CaseRow.init)

    /// `path<TAB>reason` for each row that Gantry does not pass on purpose.
    static let exclusions: [String: String] = {
        let text = String(decoding: bytes(sourceFolder() + "/compose-cases-exclusions.txt"), as: UTF8.self)
        var result: [String: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let cells = line.split(separator: "\t", maxSplits: 1).map(String.init)
            result[cells[0]] = cells.count > 1 ? cells[1] : ""
        }
        return result
    }()

    /// The lines of a file of the corpus, without comments.
    static func lines(_ name: String) -> [String] {
        String(decoding: bytes(folder + "/" + name), as: UTF8.self)
            .split(separator: "\n").filter { !$0.hasPrefix("# ") }.map(String.init)
    }

    /// The cells of a table whose lines are all tab-separated.
    static func table(_ name: String) -> [[String]] { lines(name).map(cells) }

    static func cells(_ line: String) -> [String] {
        line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }

    /// A JSON text, which is YAML.
    static func json(_ text: String) throws -> Node {
        struct NoValue: Error { var text: String }
        let documents = try YAMLComposer.documents(Array(text.utf8), file: "json", report: Report())
        guard let node = documents.first else { throw NoValue(text: text) }
        return node
    }

    /// Empty when the file cannot be read, which makes the tests that need it fail.
    private static func bytes(_ path: String) -> [UInt8] {
        do throws(FileProblem) {
            return try FileAccess.system.read(path, 16 * 1024 * 1024)
        } catch {
            return []
        }
    }
}

/// One row of the corpus's index: a load and what compose-go's test says about it.
struct CaseRow: Sendable, CustomTestStringConvertible {
    var path: String
    var expected: String
    var kind: String
    var files: [String]
    var projectDirectory: String
    var flags: Set<String>
    var environment: String
    var error: String
    /// What the file itself is by the published schema.
    var schema: String

    init?(_ line: String) {
        let cells = ComposeCases.cells(line)
        guard cells.count >= 10 else { return nil }
        path = cells[0]
        expected = cells[2]
        kind = cells[3]
        files = cells[4].split(separator: ";").map(String.init)
        projectDirectory = cells[5]
        flags = Set(cells[6].split(separator: ",").map(String.init))
        environment = cells[7]
        error = cells[8]
        schema = cells[9]
    }

    var testDescription: String { path }

    /// What `name=` is given in the flags.
    private func value(_ name: String) -> String? {
        flags.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }

    /// What Go tests set and the index does not say.
    private static let corrections: [String: @Sendable (inout LoadOptions) -> Void] = [
        "compose-go-inline/loader/TestLoadWithExtends-01/compose.yaml": { $0.moveTo("compose-go/loader/testdata") },
        "compose-go-inline/loader/TestLoadWithExtendsWithContextUrl-01/compose.yaml": {
            $0.moveTo("compose-go/loader/testdata")
        },
        "compose-go-inline/loader/TestLoadProjectName-03/compose.yaml": { $0.projectName = "" },
        "compose-go-inline/loader/TestLoadProjectName-04/compose.yaml": { $0.projectName = "" },
        "compose-go-inline/loader_normalize/TestNormalizeEnvironment-01/compose.yaml": {
            $0.environment["BAR"] = "bar"
        },
        // Only checked against the schema, as written.
        "compose-go/schema/using-variables.yaml": { $0.interpolates = false },
    ]

    /// The loader options that the Go test sets.
    func options() throws -> LoadOptions {
        var variables = ["HOME": "/home/me"]
        if !environment.isEmpty { variables.merge(stringMap(try ComposeCases.json(environment))) { _, new in new } }
        let folder = ComposeCases.folder + "/" + projectDirectory
        var options = LoadOptions(workingDirectory: folder, environment: variables)
        options.files = files.map { ComposeCases.folder + "/" + $0 }
        options.projectDirectory = folder
        // Go tests name the project by an option that is always there.
        options.projectName = value("project") ?? (flags.isEmpty ? nil : "test")
        options.profiles = value("profile").map { [$0] } ?? []
        options.targetServices = value("service").map { [$0] } ?? []
        options.checksConsistency = !flags.contains("no-consistency")
        options.normalizes = !flags.contains("no-normalize")
        options.interpolates = !flags.contains("no-interpolate")
        options.resolvesPaths = !flags.contains("no-path-resolution") && kind != "merge" && kind != "unicity"
        options.keepsUnused = true
        Self.corrections[path]?(&options)
        return options
    }
}

extension LoadOptions {
    fileprivate mutating func moveTo(_ folder: String) {
        workingDirectory = ComposeCases.folder + "/" + folder
        projectDirectory = workingDirectory
    }
}

/// A tree without marks and without the order of keys.
indirect enum PlainValue: Equatable {
    case scalar(Scalar.Value, String)
    case list([PlainValue])
    case map([String: PlainValue])

    init(_ node: Node) {
        switch node.content {
        // What a string and an equal plain scalar say is compared by their texts: `"1"` is not `1`.
        case .scalar(let scalar): self = .scalar(scalar.value, scalar.canonicalText)
        case .sequence(let items): self = .list(items.map(PlainValue.init))
        case .mapping(let mapping):
            self = .map(Dictionary(mapping.entries.map { ($0.key, PlainValue($0.value)) }) { _, last in last })
        }
    }
}
