import StackModel
import Testing

@testable import StackFile

/// Every row of the corpus made of compose-go's own tests.
@Suite(.enabled(if: ComposeCases.isPresent, "the corpus stands beside the repository where it is developed"))
struct ComposeCasesTests {
    @Test func indexIsRead() {
        #expect(ComposeCases.rows.count > 300)
        #expect(Set(ComposeCases.rows.map(\.path)).count == ComposeCases.rows.count)
    }

    @Test(arguments: ComposeCases.isPresent ? ComposeCases.rows : [])
    func row(_ row: CaseRow) throws {
        guard ComposeCases.exclusions[row.path] == nil else { return }
        let problem = try problem(of: row)
        #expect(problem == nil)
    }

    @Test func exclusionsAreNeeded() throws {
        for (path, reason) in ComposeCases.exclusions {
            let row = try #require(ComposeCases.rows.first { $0.path == path }, "no row \(path)")
            #expect(reason.utf8.count > 10, "\(path) needs a reason")
            #expect(try problem(of: row) != nil, "\(path) passes and needs no exclusion")
        }
    }

    @Test func aliasBombIsRefusedQuickly() throws {
        let bombs = ComposeCases.rows.filter { $0.path.contains("TestAliasBombPrevented") }
        #expect(bombs.count == 2)
        for row in bombs {
            let start = ContinuousClock().now
            let found = try errors(of: row)
            #expect(!found.isEmpty)
            #expect(start.duration(to: ContinuousClock().now) < .seconds(2), "\(row.path)")
        }
    }

    // MARK: - One row

    /// What is wrong with a row, `nil` when it passes.
    private func problem(of row: CaseRow) throws -> String? {
        switch row.expected {
        case "valid" where ["merge", "unicity", "normalize"].contains(row.kind): try merged(row)
        case "valid": describe(try errors(of: row))
        case "schema-valid": describe(try errors(of: row).filter { !Self.isAbout(row, $0) })
        default: try refused(row)
        }
    }

    private func errors(of row: CaseRow) throws -> [Diagnostic] {
        do throws(StackFileError) {
            _ = try loadDocument(try row.loadOptions())
            return []
        } catch {
            return error.diagnostics.filter { $0.severity == .error }
        }
    }

    private func describe(_ errors: [Diagnostic]) -> String? {
        errors.isEmpty ? nil : errors.map { "\($0.code) \($0.path ?? "-"): \($0.message)" }.joined(separator: "; ")
    }

    /// Files that are right by the schema, and are parts of a stack that does not load on its own: path to the code of
    /// the error.
    private static let parts: [String: Set<String>] = [
        // Services that depend on each other in a circle unless profiles take one away.
        "compose-go/loader/testdata/compose-depends-on-profile-no-cycle.yaml": ["stack.cycle"],
        // Its environment file stands in the folder of the file that includes it.
        "compose-go/loader/testdata/include/dir/compose.yaml": ["stack.file"],
        // They name files of a loader of `remote:` that the Go test brings along.
        "compose-go/loader/testdata/remote/cycle/compose.yaml": ["stack.file"],
        "compose-go/loader/testdata/remote/nested/compose.yaml": ["stack.file"],
    ]

    private static func isAbout(_ row: CaseRow, _ error: Diagnostic) -> Bool {
        parts[row.path]?.contains(error.code) == true
    }

    // MARK: - Refused files

    private func refused(_ row: CaseRow) throws -> String? {
        let found = try errors(of: row)
        guard !found.isEmpty else { return "loads, but must fail with: \(row.error)" }
        let isTold = row.error.isEmpty || found.contains { Expectation(row.error).isMet(by: $0) }
        return isTold ? nil : "expected: \(row.error); found: \(describe(found) ?? "")"
    }

    // MARK: - Merged files

    /// Rows whose result is `expected.yaml` in another syntax: that file brought through the same steps is the same.
    /// All other rows are equal to the expected file as data.
    private static let otherSyntax: Set<String> = [
        "compose-go-inline/override/TestMergeEnvFilesString-01/compose.yaml",
        "compose-go-inline/override/TestMergeEnvFilesSequence-01/compose.yaml",
        "compose-go-inline/override/TestMergeEnvFilesMixed-01/compose.yaml",
        "compose-go-inline/override/TestMergeEnvFilesMixed-02/compose.yaml",
        "compose-go-inline/override/TestMergeEnvFilesMixed-03/compose.yaml",
        "compose-go-inline/override/Test_mergeYamlServiceMount-01/compose.yaml",
        "compose-go-inline/override/Test_VolumeUnicity-01/compose.yaml",
        "compose-go-inline/override/TestMergeVolumes-01/compose.yaml",
        "compose-go-inline/override/Test_mergeYamlArgsMixed-01/compose.yaml",
        "compose-go-inline/loader_normalize/TestNormalizeEnvironment-01/compose.yaml",
    ]

    private func merged(_ row: CaseRow) throws -> String? {
        let options = try row.options()
        let expectedPath = PathText.directory(of: options.files[0]) + "/expected.yaml"
        let steps = row.kind == "normalize" ? normalized : mergedAsWritten
        let found = try steps(row, options, options.files)
        if PlainValue(found) == PlainValue(try document(expectedPath)) {
            return Self.otherSyntax.contains(row.path) ? "is equal as data" : nil
        }
        let wanted = try steps(row, options, [expectedPath])
        guard PlainValue(found) == PlainValue(wanted) else {
            return "found:\n\(YAMLWriter.write(found))\nexpected:\n\(YAMLWriter.write(wanted))"
        }
        return Self.otherSyntax.contains(row.path) ? nil : "is equal only in another syntax"
    }

    private func document(_ path: String) throws -> Node {
        let bytes = try FileAccess.system.read(path, 1024 * 1024)
        return try #require(try YAMLComposer.documents(bytes, file: path, report: Report()).first)
    }

    /// The merged files as written. As in the Go tests the schema is not looked at, where it would refuse the file.
    private func mergedAsWritten(_ row: CaseRow, _ options: LoadOptions, _ files: [String]) throws -> Node {
        let report = Report()
        let loader = FileLoader(files: .system, report: report, options: options)
        let scope = FileScope(directory: options.workingDirectory, environment: options.environment)
        let merged = try #require(loader.load(files, scope: scope))
        if row.schema == "schema-valid" { #expect(report.errors.isEmpty, "\(row.path)") }
        return merged
    }

    /// As compose-go's `Normalize`, on one file without schema and consistency; the projects' names are not valid.
    private func normalized(_ row: CaseRow, _ options: LoadOptions, _ files: [String]) throws -> Node {
        let report = Report()
        let written = try document(try #require(files.first))
        let long = Defaults(isRaw: false).apply(to: Canonicalizer(report: report, isRaw: false).apply(to: written))
        let loader = FileLoader(files: .system, report: report, options: options)
        let environment = ServiceEnvironment(
            environment: options.environment, files: loader.environmentFiles, report: report, readsFiles: false,
            resolvesArguments: true, directory: "/")
        let services = try #require(long["services"]).mapEntries { environment.apply(to: $0.value, name: $0.key) }
        #expect(report.errors.isEmpty, "\(row.path)")
        let normalizer = Normalizer(projectName: long["name"]?.text ?? "")
        return normalizer.apply(to: long.setting("services", to: services))
    }
}

/// What compose-go's error names, and whether a diagnostic of ours says the same.
///
/// The rule: an error with a dotted path (`services.foo.image must be a string`) is met by a diagnostic whose path or
/// message has that path; otherwise every name the error quotes or chains (`service "bar" depends on undefined service
/// "zot"`, `non-string key in services: 123`) must be in the diagnostic's path, message or hint; an error with neither
/// is met by its code.
struct Expectation {
    /// Errors without path and names, by a part of their text.
    private static let codes = [
        ("include cycle detected", "stack.cycle"), ("empty compose file", "stack.empty"),
        ("top-level object must be a mapping", "stack.type"), ("excessive aliasing", "stack.limit"),
        ("map merge requires map", "stack.type"), ("declared with a trailing space", "stack.value"),
    ]
    private let path: String?
    private let names: [String]
    private let code: String?

    init(_ text: String) {
        let words = text.split(separator: " ").map { word in
            String(word.drop { "\"':".contains($0) }.prefix { $0.isLetter || $0.isNumber || "._-".contains($0) })
        }
        let keys = Schema.file.object?.fields.keys.map { $0 } ?? []
        path =
            words.first { word in keys.contains { word.hasPrefix($0 + ".") } }
            ?? zip(words, words.dropFirst()).first { $1 == "must" && keys.contains($0) }?.0
        code = Self.codes.first { text.contains($0.0) }?.1
        let isChain = text.contains(" -> ")
        let quoted = isChain ? Self.chain(text) : Self.quoted(text)
        names = !quoted.isEmpty || code != nil ? quoted : Self.bare(text)
    }

    private static func chain(_ text: String) -> [String] {
        text.split(separator: ":").last.map { $0.split(separator: " ").map(String.init).filter { $0 != "->" } } ?? []
    }

    private static func quoted(_ text: String) -> [String] {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == "\"" || $0 == "'" }.map(String.init)
        return parts.indices.filter { $0 % 2 == 1 }.map { parts[$0] }
    }

    /// What `extends.test.service is required` and `non-string key in services: 123` are about.
    private static func bare(_ text: String) -> [String] {
        let dotted = text.split(separator: " ").first { $0.contains(".") }?.split(separator: ".").map(String.init)
        return dotted ?? text.split(separator: ":").dropFirst().last.map { [String($0)] } ?? []
    }

    func isMet(by diagnostic: Diagnostic) -> Bool {
        let place = Self.dotted(diagnostic.path ?? "")
        let said = Self.dotted([place, diagnostic.message, diagnostic.hint ?? ""].joined(separator: " "))
        if let path { return said.contains(path) }
        if !names.isEmpty { return names.allSatisfy { said.contains($0.trimmed) } }
        return diagnostic.code == code
    }

    /// `a[0].b` as compose-go writes it, `a.0.b`.
    private static func dotted(_ path: String) -> String {
        String(path.compactMap { $0 == "[" ? "." : $0 == "]" ? nil : $0 })
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

extension CaseRow {
    /// As `options()`; a row whose environment cannot be read fails its test by that.
    func loadOptions() throws(StackFileError) -> LoadOptions {
        do {
            return try options()
        } catch {
            throw StackFileError(diagnostics: [Diagnostic(code: "test", "the row's environment: \(error)")])
        }
    }
}
