import Testing

@testable import StackFile

struct SchemaTableTests {
    /// Every object of the table with the path of its first place.
    private func objects() -> [(path: String, object: Shape.Object)] {
        var found: [(path: String, object: Shape.Object)] = []
        var seen: Set<ObjectIdentifier> = []
        func visit(_ shape: Shape, _ path: String) {
            guard seen.insert(ObjectIdentifier(shape)).inserted else { return }
            if let list = shape.list { visit(list.item, path + "[]") }
            switch shape.keys {
            case nil: break
            case .free(_, let value)?: visit(value, path + ".*")
            case .object(let object)?:
                found.append((path, object))
                for (key, field) in object.fields.sorted(by: { $0.key < $1.key }) {
                    visit(field.shape, path.isEmpty ? key : "\(path).\(key)")
                }
            }
        }
        visit(Schema.file, "")
        return found
    }

    @Test func everyKeyHasAShortDescription() {
        var count = 0
        for (path, object) in objects() {
            for (key, field) in object.fields {
                count += 1
                #expect((8...160).contains(field.doc.utf8.count), "\(path).\(key): \(field.doc)")
                #expect(!field.doc.hasSuffix("."), "\(path).\(key): \(field.doc)")
            }
            #expect(Set(object.required + object.exactlyOne).isSubset(of: object.fields.keys), "\(path)")
        }
        #expect(count > 250)
    }

    @Test func objectsOfOneNameAreTheSame() {
        var fields: [String: [String]] = [:]
        for (path, object) in objects() {
            guard let name = object.name else { continue }
            let keys = object.fields.keys.sorted()
            #expect(fields[name, default: keys] == keys, "\(path)")
            fields[name] = keys
        }
        #expect(fields["service"]?.contains("image") == true)
        #expect(fields["job"] == ((fields["service"] ?? []) + ["triggers"]).sorted())
    }

    /// The long form and the table must not drift apart.
    @Test func everyCanonicalRuleIsOfAKnownKey() throws {
        let patterns = try patterns(of: canonicalTable)
        #expect(patterns.count > 100)
        for pattern in patterns.sorted() where pattern != "" {
            #expect(exists(pattern.split(separator: ".")[...], in: Schema.file), "'\(pattern)' is no key")
        }
        #expect(!exists(["services", "*", "prots"], in: Schema.file))
    }

    private func exists(_ path: ArraySlice<Substring>, in shape: Shape) -> Bool {
        guard let first = path.first else { return true }
        let rest = path.dropFirst()
        if first == "*", let item = shape.list?.item, exists(rest, in: item) { return true }
        switch shape.keys {
        case nil: return false
        case .free(_, let value)?: return first == "*" && exists(rest, in: value)
        case .object(let object)?: return object.fields[String(first)].map { exists(rest, in: $0.shape) } ?? false
        }
    }

    private func patterns(of table: PathTable<CanonicalRule>) throws -> [String] {
        let mirror = Mirror(reflecting: table)
        var children = try #require(mirror.descendant("children") as? [String: PathTable<CanonicalRule>])
        children["*"] = table.belowItem
        var found = table.rule == nil ? [] : [""]
        for (key, below) in children {
            found += try patterns(of: below).map { $0.isEmpty ? key : "\(key).\($0)" }
        }
        return found
    }
}
