/// RUN --mount.
public struct Mount: Equatable, Sendable {
    public enum Kind: String, CaseIterable, Sendable { case bind, cache, tmpfs, secret, ssh }
    public enum Sharing: String, CaseIterable, Sendable { case shared, `private`, locked }

    /// The flag's value as written; `StageScope` reads it anew with variables.
    public var flag: Word
    public var kind: Kind = .bind
    /// A stage's name, a named context or an image.
    public var from: String?
    public var source: String?
    public var target: String?
    public var isReadOnly = true
    public var id: String?
    public var sharing: Sharing?
    public var isRequired = false
    /// Bytes.
    public var sizeMax: Int64?
    public var mode: UInt32?
    public var user: UInt32?
    public var group: UInt32?
    /// The environment variable that gets the secret.
    public var variable: String?
}

/// Reads the value of one `--mount`.
struct MountReader {
    typealias Expand = (String) throws(Fault) -> String

    private var mount: Mount
    private var saysAccess = false
    /// Of the field that is being read.
    private var range: SourceRange

    /// Looks only at what cannot have variables: type and `from`.
    static func skim(_ flag: Word) throws(Fault) -> Mount {
        try read(flag, isComplete: false) { text throws(Fault) in text }
    }

    static func read(_ flag: Word, isComplete: Bool = true, _ expand: Expand) throws(Fault) -> Mount {
        guard let fields = GoValue.fields(flag.text) else {
            throw Fault(.flag, "failed to parse csv mounts: a quote is not closed", at: flag.range)
        }
        var reader = MountReader(mount: Mount(flag: flag), range: flag.range)
        var offset = 0
        for field in fields {
            reader.range = place(field, offset, in: flag)
            offset += field.unicodeScalars.count + 1
            try reader.read(field, isComplete, expand)
        }
        reader.range = flag.range
        if isComplete { try reader.check() }
        return reader.mount
    }

    /// Where quotes are in play the whole flag is the place.
    private static func place(_ field: String, _ offset: Int, in flag: Word) -> SourceRange {
        let scalars = Array(flag.text.unicodeScalars)
        let end = offset + field.unicodeScalars.count
        var range = flag.range
        guard range.start.line == range.end.line, range.end.column - range.start.column == scalars.count,
            end <= scalars.count, scalars[offset..<end].elementsEqual(field.unicodeScalars)
        else { return range }
        range.end.column = range.start.column + end
        range.start.column += offset
        return range
    }

    private func fault(_ message: String, hint: String? = nil) -> Fault {
        Fault(.flag, message, at: range, hint: hint)
    }

    private mutating func read(_ field: String, _ isComplete: Bool, _ expand: Expand) throws(Fault) {
        guard let (name, raw) = field.cut("=") else {
            if isComplete { try readSwitch(field) }
            return
        }
        let key = name.lowercased()
        if key == "from", raw.contains("$"), !raw.hasSuffix("$") {
            throw fault(
                "'from' doesn't support variable expansion, define alias stage instead",
                hint: "write 'FROM \(raw) AS NAME' above, with ARG before the first FROM, and from=NAME here")
        }
        guard isComplete else {
            if key == "from" { mount.from = raw }
            if key == "type", let kind = Mount.Kind(rawValue: raw.lowercased()) { mount.kind = kind }
            return
        }
        try set(key, try expand(raw), field)
    }

    private mutating func readSwitch(_ field: String) throws(Fault) {
        switch field.lowercased() {
        case "readonly", "ro": setAccess(readOnly: true)
        case "readwrite", "rw": setAccess(readOnly: false)
        case "required": try setRequired(true)
        default:
            throw fault(
                "invalid field '\(field)' must be a key=value pair",
                hint: didYouMean(field, Self.keys)
                    ?? "the value of a mount is KEY=VALUE,…, e.g. type=cache,target=/root/.cache")
        }
    }

    private mutating func setAccess(readOnly: Bool) {
        mount.isReadOnly = readOnly
        saysAccess = true
    }

    private mutating func setRequired(_ value: Bool) throws(Fault) {
        guard mount.kind == .secret || mount.kind == .ssh else {
            throw fault(
                "unexpected key 'required' for mount type '\(mount.kind.rawValue)'",
                hint: "write type=secret or type=ssh first"
            )
        }
        mount.isRequired = value
    }

    static let keys = [
        "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid",
        "src",
        "dst", "destination", "ro", "rw", "readwrite", "env",
    ]

    private mutating func set(_ key: String, _ value: String, _ field: String) throws(Fault) {
        switch key {
        case "type": mount.kind = try choice(value, "unsupported mount type")
        case "from": mount.from = value
        case "source", "src": mount.source = value
        case "target", "dst", "destination": mount.target = value
        case "readonly", "ro": setAccess(readOnly: try bool(key, value))
        case "readwrite", "rw": setAccess(readOnly: !(try bool(key, value)))
        case "required": try setRequired(try bool(key, value))
        case "size": mount.sizeMax = try size(value)
        case "id": mount.id = value
        case "sharing": mount.sharing = try choice(value, "unsupported sharing value")
        case "mode": mount.mode = try number(key, value, radix: 8)
        case "uid": mount.user = try number(key, value, radix: 10)
        case "gid": mount.group = try number(key, value, radix: 10)
        case "env": mount.variable = value
        default:
            throw fault("unexpected key '\(key)' in '\(field)'", hint: didYouMean(key, Self.keys) ?? "use \(known)")
        }
    }

    private var known: String { Self.keys.prefix(12).joined(separator: ", ") }

    private func choice<Value: RawRepresentable & CaseIterable>(_ text: String, _ message: String) throws(Fault)
        -> Value
    where Value.RawValue == String {
        if let value = Value(rawValue: text.lowercased()) { return value }
        let all = Value.allCases.map(\.rawValue)
        throw fault(
            "\(message) \(GoValue.quoted(text))", hint: didYouMean(text, all) ?? "use \(all.joined(separator: ", "))")
    }

    private func bool(_ key: String, _ text: String) throws(Fault) -> Bool {
        guard let value = GoValue.bool(text) else {
            throw fault("invalid value for \(key): \(text)", hint: "use true or false")
        }
        return value
    }

    private func size(_ text: String) throws(Fault) -> Int64 {
        guard mount.kind == .tmpfs else {
            throw fault("unexpected key 'size' for mount type '\(mount.kind.rawValue)'", hint: "write type=tmpfs first")
        }
        guard let bytes = GoValue.bytes(text) else {
            throw fault("invalid value for size: \(text)", hint: "write a number and a unit, such as 64m")
        }
        return bytes
    }

    private func number(_ key: String, _ text: String, radix: Int) throws(Fault) -> UInt32 {
        guard text.first != "+", let value = UInt32(text, radix: radix) else {
            throw fault(
                "invalid value \(text) for \(key)",
                hint: radix == 8 ? "write it in octal, such as 0755" : "write a number")
        }
        return value
    }

    /// What the kinds allow.
    private mutating func check() throws(Fault) {
        let kind = mount.kind.rawValue
        if mount.kind == .bind || mount.kind == .tmpfs {
            for (name, value) in [("mode", mount.mode), ("uid", mount.user), ("gid", mount.group)] where value != nil {
                throw fault("\(name) not allowed for \"\(kind)\" type mounts")
            }
        }
        if !saysAccess { mount.isReadOnly = mount.kind != .cache && mount.kind != .tmpfs }
        if mount.kind == .secret { try checkSecret() }
        if mount.sharing != nil, mount.kind != .cache { throw fault("invalid cache sharing set for \(kind) mount") }
        if mount.variable != nil, mount.kind != .secret {
            throw fault(
                "unexpected key 'env' for mount type '\(kind)'", hint: "only a secret can be put into a variable")
        }
        let needsTarget = mount.kind == .bind || mount.kind == .cache || mount.kind == .tmpfs
        if needsTarget, (mount.target ?? "").isEmpty {
            throw fault("invalid mount target \"\"", hint: "say where it is mounted: target=PATH")
        }
    }

    private func checkSecret() throws(Fault) {
        if mount.from != nil { throw fault("secret mount should not have a from") }
        if mount.sharing != nil { throw fault("secret mount should not define sharing") }
        if mount.source == nil, mount.target == nil, mount.id == nil {
            throw fault("invalid secret mount. one of source, target required", hint: "write id=NAME")
        }
        if mount.source != nil, mount.id != nil {
            throw fault("both source and id can't be set", hint: "they mean the same: write id=NAME")
        }
    }
}
