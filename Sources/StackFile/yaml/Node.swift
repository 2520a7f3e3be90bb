import StackModel

/// One value of a stack file with the place it was written at. Trees are values: every pipeline stage takes a tree and
/// gives back another one, and the marks travel along.
struct Node: Equatable, Sendable {
    enum Content: Equatable, Sendable {
        case scalar(Scalar)
        case sequence([Node])
        case mapping(Mapping)
    }

    /// Tags of the Compose Specification's merge chapter.
    enum MergeTag: Equatable, Sendable {
        /// `!reset`: remove what lower files gave.
        case reset
        /// `!override`: replace what lower files gave instead of merging with it.
        case override
    }

    /// One reference is what a copy of a node costs; a step that changes nothing copies nothing else.
    ///
    /// SAFETY: changed only by the one node that refers to it.
    private final class Storage: @unchecked Sendable {
        var content: Content
        var place: Place
        var mergeTag: MergeTag?

        init(_ content: Content, _ place: Place, _ mergeTag: MergeTag?) {
            self.content = content
            self.place = place
            self.mergeTag = mergeTag
        }
    }

    private var storage: Storage

    var content: Content {
        get { storage.content }
        set { own().content = newValue }
    }

    var mergeTag: MergeTag? {
        get { storage.mergeTag }
        set { if newValue != storage.mergeTag { own().mergeTag = newValue } }
    }

    var place: Place { storage.place }

    var mark: SourceMark {
        get { storage.place.mark }
        set { own().place = Place(newValue) }
    }

    private mutating func own() -> Storage {
        if !isKnownUniquelyReferenced(&storage) {
            storage = Storage(storage.content, storage.place, storage.mergeTag)
        }
        return storage
    }

    static func == (left: Node, right: Node) -> Bool {
        left.storage === right.storage
            || left.place == right.place && left.mergeTag == right.mergeTag && left.content == right.content
    }

    init(_ content: Content, at mark: SourceMark, mergeTag: MergeTag? = nil) {
        self.init(content, at: Place(mark), mergeTag: mergeTag)
    }

    init(_ content: Content, at place: Place, mergeTag: MergeTag? = nil) {
        storage = Storage(content, place, mergeTag)
    }

    static func string(_ text: String, at mark: SourceMark) -> Node { Node(.scalar(Scalar(string: text)), at: mark) }

    static func integer(_ value: Int64, at mark: SourceMark) -> Node {
        Node(.scalar(Scalar(text: String(value), value: .integer(value))), at: mark)
    }

    static func number(_ value: Double, at mark: SourceMark) -> Node {
        Node(.scalar(Scalar(text: goNumberText(value), value: .float(value))), at: mark)
    }

    static func boolean(_ value: Bool, at mark: SourceMark) -> Node {
        Node(.scalar(Scalar(text: value ? "true" : "false", value: .boolean(value))), at: mark)
    }

    static func null(at mark: SourceMark) -> Node { Node(.scalar(Scalar(text: "", value: .null)), at: mark) }

    static func list(_ items: [Node], at mark: SourceMark) -> Node { Node(.sequence(items), at: mark) }

    static func map(_ pairs: KeyValuePairs<String, Node?>, at mark: SourceMark) -> Node {
        var mapping = Mapping()
        for (key, value) in pairs {
            if let value { mapping.set(key, at: mark, to: value) }
        }
        return Node(.mapping(mapping), at: mark)
    }

    var scalar: Scalar? { if case .scalar(let scalar) = content { scalar } else { nil } }
    var items: [Node]? { if case .sequence(let items) = content { items } else { nil } }
    var mapping: Mapping? { if case .mapping(let mapping) = content { mapping } else { nil } }

    /// The scalar's text in canonical form (`0x1F` is `31`); `nil` for lists, mappings and null.
    var text: String? {
        guard let scalar, scalar.value != .null else { return nil }
        return scalar.canonicalText
    }

    var isNull: Bool { scalar?.value == .null }

    /// The value under `key`, `nil` when this is no mapping or has no such key.
    subscript(key: String) -> Node? { mapping?[key] }

    /// What a person calls this kind of value.
    var kindName: String {
        switch content {
        case .sequence: "a list"
        case .mapping: "a mapping"
        case .scalar(let scalar):
            switch scalar.value {
            case .null: "nothing"
            case .boolean: "a boolean"
            case .integer: "an integer"
            case .float: "a number"
            case .string: "a string"
            }
        }
    }
}

/// A scalar: its text as written and what the YAML 1.2 core schema makes of it.
struct Scalar: Equatable, Sendable {
    enum Value: Equatable, Sendable {
        case null
        case boolean(Bool)
        case integer(Int64)
        case float(Double)
        case string
    }

    var text: String
    var value: Value
    /// The text came out of a `${VAR}`, so that it may stand for a number or a boolean.
    var isInterpolated = false

    init(text: String, value: Value) {
        self.text = text
        self.value = value
    }

    init(string: String) { self.init(text: string, value: .string) }

    /// What Compose turns the value into where a string is wanted.
    var canonicalText: String {
        switch value {
        case .null: ""
        case .boolean(let flag): flag ? "true" : "false"
        case .integer(let number): String(number)
        case .float(let number): UInt64(text).map(String.init) ?? goNumberText(number)
        case .string: text
        }
    }
}

/// An ordered mapping from text to nodes, with the marks of the keys.
struct Mapping: Equatable, Sendable {
    struct Entry: Equatable, Sendable {
        let key: String
        let keyPlace: Place
        /// What makes most other keys differ at a glance.
        fileprivate let keyPrint: UInt32
        var value: Node

        var keyMark: SourceMark { keyPlace.mark }

        init(key: String, keyMark: SourceMark, value: Node) {
            self.init(key: key, keyPlace: Place(keyMark), value: value)
        }

        fileprivate init(key: String, keyPlace: Place, value: Node) {
            self.key = key
            self.keyPlace = keyPlace
            keyPrint = Self.print(of: key)
            self.value = value
        }

        /// The same key with another value.
        func with(_ value: Node) -> Entry {
            var entry = self
            entry.value = value
            return entry
        }

        /// Length, first, middle and last byte.
        fileprivate static func print(of key: String) -> UInt32 {
            let bytes = key.utf8
            guard let first = bytes.first, let last = bytes.last else { return 0 }
            let middle = bytes[bytes.index(bytes.startIndex, offsetBy: bytes.count / 2)]
            return UInt32(truncatingIfNeeded: bytes.count) << 24 | UInt32(first) << 16 | UInt32(middle) << 8
                | UInt32(last)
        }
    }

    /// Mappings below this size are searched; an index would take longer to make.
    private static let indexedFrom = 48

    /// Room for the keys of most mappings, so that they grow once.
    private static let sizeUsual = 6

    private(set) var entries: [Entry] = []
    /// Of a large mapping.
    private var positions: [String: Int]?

    init() {}

    /// Entries of which no two have the same key.
    init(distinct entries: [Entry]) {
        self.entries = entries
        index()
    }

    var isEmpty: Bool { entries.isEmpty }
    var keys: [String] { entries.map(\.key) }

    static func == (left: Mapping, right: Mapping) -> Bool { left.entries == right.entries }

    subscript(key: String) -> Node? { position(of: key).map { entries[$0].value } }

    func keyMark(_ key: String) -> SourceMark? { position(of: key).map { entries[$0].keyMark } }

    private func position(of key: String) -> Int? {
        if let positions { return positions[key] }
        let print = Entry.print(of: key)
        var position = 0
        while position < entries.count {
            if entries[position].keyPrint == print, entries[position].key == key { return position }
            position += 1
        }
        return nil
    }

    /// Replaces the value of `key` in place or appends it.
    mutating func set(_ key: String, at keyMark: SourceMark, to value: Node) {
        set(Entry(key: key, keyMark: keyMark, value: value))
    }

    /// Replaces the entry of the same key in place or appends it.
    mutating func set(_ entry: Entry) {
        if let position = position(of: entry.key) {
            entries[position] = entry
        } else {
            append(entry)
        }
    }

    /// Adds an entry whose key is not there.
    private mutating func append(_ entry: Entry) {
        if entries.isEmpty { entries.reserveCapacity(Self.sizeUsual) }
        entries.append(entry)
        if entries.count == Self.indexedFrom { index() }
        if entries.count > Self.indexedFrom { positions?[entry.key] = entries.count - 1 }
    }

    private mutating func index() {
        positions = nil
        guard entries.count >= Self.indexedFrom else { return }
        positions = Dictionary(minimumCapacity: 2 * entries.count)
        for (position, entry) in entries.enumerated() { positions?[entry.key] = position }
    }

    /// Sets the value, keeping the mark the key had; a new key gets the value's mark.
    mutating func set(_ key: String, to value: Node) {
        if let position = position(of: key) {
            entries[position].value = value
        } else {
            append(Entry(key: key, keyPlace: value.place, value: value))
        }
    }

    mutating func remove(_ key: String) {
        guard let position = position(of: key) else { return }
        entries.remove(at: position)
        index()
    }

    /// The same keys with some values changed; `nil` when `change` gives none, so that trees share what stays as it is.
    func changing(_ change: (Entry) -> Node?) -> Mapping? {
        var result: Mapping?
        for position in entries.indices {
            guard let value = change(entries[position]) else { continue }
            if result == nil { result = self }
            result?.entries[position].value = value
        }
        return result
    }

    /// The same keys with other values; `nil` drops the entry.
    func mapValues(_ transform: (Entry) -> Node?) -> Mapping {
        var kept: [Entry] = []
        kept.reserveCapacity(entries.count)
        for entry in entries {
            guard let value = transform(entry) else { continue }
            kept.append(entry.with(value))
        }
        return Mapping(distinct: kept)
    }

    /// Sets `key` with the mark that `entry` has.
    mutating func set(_ key: String, like entry: Entry, to value: Node) {
        set(Entry(key: key, keyPlace: entry.keyPlace, value: value))
    }
}

extension Node {
    /// This mapping with `key` set; an existing key keeps its mark. Other nodes are left as they are.
    func setting(_ key: String, to value: Node) -> Node {
        guard var mapping else { return self }
        var result = self
        mapping.set(key, to: value)
        result.content = .mapping(mapping)
        return result
    }

    func removing(_ key: String) -> Node {
        guard var mapping, mapping[key] != nil else { return self }
        var result = self
        mapping.remove(key)
        result.content = .mapping(mapping)
        return result
    }

    /// Changes the entries of this mapping; `nil` drops one.
    func mapEntries(_ transform: (Mapping.Entry) -> Node?) -> Node {
        guard let mapping else { return self }
        var result = self
        result.content = .mapping(mapping.mapValues(transform))
        return result
    }

    /// The node with some children changed; `nil` when both closures give none.
    func changingChildren(item: (Int, Node) -> Node?, entry: (Mapping.Entry) -> Node?) -> Node? {
        var changed = self
        switch content {
        case .scalar: return nil
        case .sequence(let items):
            var result: [Node]?
            for position in items.indices {
                guard let value = item(position, items[position]) else { continue }
                if result == nil { result = items }
                result?[position] = value
            }
            guard let result else { return nil }
            changed.content = .sequence(result)
        case .mapping(let mapping):
            guard let result = mapping.changing(entry) else { return nil }
            changed.content = .mapping(result)
        }
        return changed
    }

    /// The node under a path of keys.
    func at(_ path: String...) -> Node? {
        var node = self
        for key in path {
            guard let next = node[key] else { return nil }
            node = next
        }
        return node
    }

    /// The entries of this mapping, none for other nodes.
    var entries: [Mapping.Entry] { mapping?.entries ?? [] }

    /// The texts of this list, without nulls.
    var texts: [String] { (items ?? []).compactMap(\.text) }

    var flag: Bool? { if case .boolean(let flag)? = scalar?.value { flag } else { nil } }

    /// A whole number, also one written as a string.
    var wholeNumber: Int64? {
        switch scalar?.value {
        case .integer(let number): number
        case .string: Int64(scalar?.text ?? "")
        default: nil
        }
    }

    var decimalNumber: Double? {
        switch scalar?.value {
        case .integer(let number): Double(number)
        case .float(let number): number
        default: nil
        }
    }
}
