/// Names and values in the order in which they were first set.
public struct Variables: Equatable, Sendable {
    private var values: [String: String] = [:]
    public private(set) var names: [String] = []

    public init() {}

    /// `NAME=VALUE` each, as an image's configuration has them; a later one counts.
    public init(environment: [String]) {
        for entry in environment {
            let (name, value) = entry.cut("=") ?? (entry, "")
            self[name] = value
        }
    }

    public subscript(_ name: String) -> String? {
        get { values[name] }
        set {
            if values[name] == nil, newValue != nil { names.append(name) }
            if newValue == nil { names.removeAll { $0 == name } }
            values[name] = newValue
        }
    }

    /// `NAME=VALUE` each.
    public var environment: [String] { names.map { "\($0)=\(values[$0] ?? "")" } }
}
