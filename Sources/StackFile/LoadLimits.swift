/// What one load may grow to, so that a hostile or broken stack is refused instead of filling memory or time. What one
/// YAML file may be is in `YAMLLimits`.
enum LoadLimits {
    /// Services and jobs of the merged stack.
    static let servicesMax = 10_000
    /// Documents of one file; each is merged over those before it.
    static let documentsMax = 100
    /// Values that `include` and `extends` bring in, counted as often as they do.
    static let broughtValuesMax = 1_000_000
    /// What an include costs beside its values.
    static let includeValues = 100
    /// What variables put into all values together.
    static let substitutedBytesMax = 32 * 1024 * 1024
    /// What all environment files define, counted as often as they are read.
    static let environmentBytesMax = 16 * 1024 * 1024
    /// What one environment file defines once its variables are substituted.
    static let environmentFileBytesMax = 4 * 1024 * 1024
    /// Published ports, ranges written out.
    static let portsMax = 131_072
    /// A command line in one text.
    static let commandBytesMax = 1024 * 1024
}

/// What is left of the limits that a whole load shares.
struct LoadBudget {
    enum Kind: CaseIterable {
        case broughtValues, substitutedBytes, environmentBytes, ports

        var limit: Int {
            switch self {
            case .broughtValues: LoadLimits.broughtValuesMax
            case .substitutedBytes: LoadLimits.substitutedBytesMax
            case .environmentBytes: LoadLimits.environmentBytesMax
            case .ports: LoadLimits.portsMax
            }
        }

        var message: String {
            switch self {
            case .broughtValues: "'include' and 'extends' bring in more than \(limit) values"
            case .substitutedBytes: "variables put in more than \(limit) bytes"
            case .environmentBytes: "environment files define more than \(limit) bytes"
            case .ports: "more than \(limit) ports are published"
            }
        }
    }

    private var used: [Kind: Int] = [:]

    /// Whether there is room for so much more; once there is not, there is none any more.
    mutating func take(_ amount: Int, of kind: Kind) -> Bool {
        let before = used[kind] ?? 0
        guard before <= kind.limit, amount <= kind.limit - before else {
            used[kind] = kind.limit + 1
            return false
        }
        used[kind] = before + amount
        return true
    }

    func isExhausted(_ kind: Kind) -> Bool { (used[kind] ?? 0) > kind.limit }
}

extension Node {
    /// Values in this tree, itself included.
    var size: Int {
        switch content {
        case .scalar: 1
        case .sequence(let items): items.reduce(1) { $0 + $1.size }
        case .mapping(let mapping): mapping.entries.reduce(1) { $0 + $1.value.size }
        }
    }
}
