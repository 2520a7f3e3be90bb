import Glibc
import StackModel
import Testing

@testable import StackFile

/// What a JSON schema says about one place, however it is written: of alternatives, all that any of them says.
private struct Facts: Equatable {
    var types: Set<String> = []
    var words: Set<String> = []
    var patterns: Set<String> = []
    var keyPatterns: Set<String> = []
    var required: Set<String> = []
    var bounds: Set<String> = []
    var isUnique = false
    var isClosed = false
    var isExtensible = false
}

/// Flattens a JSON schema into facts by path, such as `services.*.ports[].target`.
private struct FactCollector {
    let root: Node
    private(set) var facts: [String: Facts] = [:]

    init(_ root: Node) {
        self.root = root
        collect(root, "")
    }

    private mutating func collect(_ schema: Node, _ path: String) {
        if let reference = schema["$ref"]?.text {
            // That a variable may stand for any value is on top of what the reference has.
            if reference == "#/$defs/variable" { return }
            if let target = resolve(reference) { collect(target, path) }
            return
        }
        for alternative in (schema["anyOf"]?.items ?? []) + (schema["oneOf"]?.items ?? [])
        where alternative["type"] != nil || alternative["$ref"] != nil || alternative["enum"] != nil {
            collect(alternative, path)
        }
        var found = facts[path] ?? Facts()
        var types = schema["type"]?.items.map { _ in schema["type"]?.texts ?? [] } ?? []
        if let type = schema["type"]?.text { types = [type] }
        if let words = schema["enum"] {
            found.words.formUnion(words.texts)
            types = ["string"]
        }
        found.types.formUnion(types)
        if let pattern = schema["pattern"]?.text { found.patterns.insert(pattern) }
        for bound in ["minimum", "maximum"] {
            if let text = schema[bound]?.text { found.bounds.insert("\(bound) \(text)") }
        }
        if schema["uniqueItems"]?.flag == true { found.isUnique = true }
        if types.contains("object") {
            found.required.formUnion(schema["required"]?.texts ?? [])
            if schema["additionalProperties"]?.flag == false { found.isClosed = true }
            for entry in schema["patternProperties"]?.entries ?? [] {
                if entry.key == "^x-" {
                    found.isExtensible = true
                } else {
                    found.keyPatterns.insert(entry.key == ".+" ? "^.+$" : entry.key)
                    // The only name that is refused then is the empty one.
                    if entry.key == "^.+$" { found.isClosed = true }
                }
            }
        }
        facts[path] = found
        for entry in schema["properties"]?.entries ?? [] {
            collect(entry.value, path.isEmpty ? entry.key : "\(path).\(entry.key)")
        }
        for entry in schema["patternProperties"]?.entries ?? [] where entry.key != "^x-" {
            collect(entry.value, path + ".*")
        }
        if let items = schema["items"] { collect(items, path + "[]") }
    }

    private func resolve(_ reference: String) -> Node? {
        var node: Node? = root
        for part in reference.split(separator: "/").dropFirst() { node = node?[String(part)] }
        return node
    }
}

struct SchemaReferenceTests {
    /// The package's folder; the tests may be reached through a symbolic link.
    private static let root: String = {
        guard let real = realpath(#filePath, nil) else { return "" }
        defer { free(real) }
        return String(cString: real).components(before: "/Tests/StackFileTests/")
    }()

    /// Stands beside the repository where that is developed, not in it.
    private static let reference = root + "/../shared/reference/compose-cases/schema/compose-spec.json"

    /// JSON is YAML.
    private func parse(_ bytes: [UInt8]) throws -> Node {
        try #require(try YAMLComposer.documents(bytes, file: "schema", report: Report()).first)
    }

    private func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
        return bytes
    }

    @Test func checkedInSchemaIsTheGeneratedOne() throws {
        let bytes = try #require(read(Self.root + "/schemas/stack.schema.json"), "run make schemas")
        let isSame = String(decoding: bytes, as: UTF8.self) == stackFileSchema()
        #expect(isSame, "schemas/stack.schema.json is not what the table says: run make schemas")
    }

    @Test func generatedSchemaIsWellFormedAndComplete() throws {
        let text = stackFileSchema()
        #expect(text == stackFileSchema())
        let schema = try parse(Array(text.utf8))
        #expect(schema["$schema"]?.text == "https://json-schema.org/draft/2020-12/schema")
        #expect(schema["$id"]?.text == "stack.schema.json")
        let definitions = Set(schema["$defs"]?.mapping?.keys ?? [])
        var references: Set<String> = []
        for part in text.split(separator: "\"#/$defs/").dropFirst() {
            references.insert(String(part.prefix { $0 != "\"" && $0 != "/" }))
        }
        #expect(references == definitions)
    }

    /// Places where ours differs from the reference on purpose; a path stands for itself alone.
    private static let exceptions: [String: String] = [
        "include": "compose-go has read it before its schema is looked at, and takes null",
        "networks": "a name such as 'a b' is refused; the reference takes it and leaves its value unchecked",
        "models": "as networks",
        "services.*.models": "as networks",
        "services.*.ulimits": "as networks: the kernel has no other names",
        "services.*.build.ulimits": "as services.*.ulimits",
        "services.*.extends": "compose-go has applied it before its schema is looked at, and takes x-…",
        "services.*.container_name": "anchored: the engine refuses what the reference's pattern takes besides",
        "services.*.pull_policy": "anchored: what the reference's pattern takes besides means nothing",
        "services.*.storage_opt": "compose-go reads texts and numbers alone, where its schema takes anything",
    ]

    /// Only ours: these paths and all below.
    private static let additions = ["jobs", "x-gantry", "services.*.x-gantry", "services.*.storage_opt.*"]

    @Test(.enabled(if: access(SchemaReferenceTests.reference, R_OK) == 0, "there is no reference here"))
    func saysWhatTheReferenceSays() throws {
        let bytes = try #require(read(Self.reference))
        let reference = FactCollector(try parse(bytes)).facts
        let ours = FactCollector(try parse(Array(stackFileSchema().utf8))).facts
        #expect(reference.count > 300)
        for (path, expected) in reference.sorted(by: { $0.key < $1.key }) {
            let found = try #require(ours[path], "'\(path)' is missing")
            if Self.exceptions[path] != nil {
                #expect(found != expected, "'\(path)' needs no exception any more")
            } else {
                #expect(found == expected, "'\(path)'")
            }
        }
        let added = ours.keys.filter { path in
            reference[path] == nil && !Self.additions.contains { path == $0 || path.hasPrefix($0 + ".") }
        }
        #expect(added.sorted() == [])
        #expect(Set(Self.exceptions.keys).isSubset(of: reference.keys))
    }
}

extension String {
    fileprivate func components(before separator: String) -> String {
        var end = startIndex
        while end < endIndex, !self[end...].hasPrefix(separator) { end = index(after: end) }
        return String(self[..<end])
    }
}
