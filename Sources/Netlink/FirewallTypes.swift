import CLinux
import Glibc

/// A chain of a table.
public struct FirewallChain: Hashable, Sendable {
    /// Where a base chain hangs (`enum nf_inet_hooks`).
    public enum Hook: UInt32, Sendable, CaseIterable {
        case prerouting = 0
        case input = 1
        case forward = 2
        case output = 3
        case postrouting = 4
        case ingress = 5

        var number: UInt32 { rawValue }
    }

    /// A base chain: its type (`filter`, `nat`, `route`), hook, priority and what becomes of packets at its end.
    public struct Base: Hashable, Sendable {
        public var type: String
        public var hook: Hook
        public var priority: Int32
        /// Packets that reach the end are dropped, rather than accepted.
        public var dropsByDefault: Bool

        public init(type: String, hook: Hook, priority: Int32, dropsByDefault: Bool = false) {
            self.type = type
            self.hook = hook
            self.priority = priority
            self.dropsByDefault = dropsByDefault
        }
    }

    public var name: String
    public var base: Base?
    /// Each rule is a list of steps.
    public var rules: [[RuleExpression]]

    public init(_ name: String, base: Base? = nil, rules: [[RuleExpression]]) {
        self.name = name
        self.base = base
        self.rules = rules
    }
}

/// A set or map of a table.
public struct FirewallSet: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case none
        /// Type number as `nft` shows it, and bytes.
        case data(type: UInt32, byteCount: UInt32)
        case verdict
    }

    public var name: String
    /// Type number of the key as `nft` shows it (`enum datatypes` of libnftables); the kernel does not look at it.
    public var keyType: UInt32
    public var keyByteCount: UInt32
    public var value: Value
    /// Keys are starts and ends of ranges. With one field, an end is an element of its own; with several
    /// (`fieldByteCounts`), each element has its end (`SetElement.keyEnd`).
    public var isInterval: Bool
    /// Tells `nft list` that keys are in the machine's byte order, as it takes names to be.
    public var isHostOrder: Bool
    /// Bytes of each field of a concatenated key, without padding. Needed for ranges of concatenations; they make the
    /// key `keyByteCount` long when each is padded to four.
    public var fieldByteCounts: [UInt32]
    /// Elements may go away after a time.
    public var hasTimeout: Bool
    /// Time after which elements without a time of their own go, in milliseconds.
    public var timeoutMilliseconds: UInt64?
    /// Packets add elements (`RuleExpression.update`); the kernel then wants a `countMax`.
    public var isDynamic: Bool
    /// The most elements it takes.
    public var countMax: UInt32?

    public init(
        _ name: String, keyType: UInt32, keyByteCount: UInt32, value: Value = .none, isInterval: Bool = false,
        isHostOrder: Bool = false, fieldByteCounts: [UInt32] = [], hasTimeout: Bool = false,
        timeoutMilliseconds: UInt64? = nil, isDynamic: Bool = false, countMax: UInt32? = nil
    ) {
        self.name = name
        self.isHostOrder = isHostOrder
        self.keyType = keyType
        self.keyByteCount = keyByteCount
        self.value = value
        self.isInterval = isInterval
        self.fieldByteCounts = fieldByteCounts
        self.hasTimeout = hasTimeout || timeoutMilliseconds != nil
        self.timeoutMilliseconds = timeoutMilliseconds
        self.isDynamic = isDynamic
        self.countMax = countMax
    }

    /// `NFT_SET_*`.
    var flags: UInt32 {
        var flags: UInt32 = 0
        if isInterval { flags |= NFT_SET_INTERVAL.rawValue }
        if value != .none { flags |= NFT_SET_MAP.rawValue }
        if isInterval, !fieldByteCounts.isEmpty { flags |= NFT_SET_CONCAT.rawValue }
        if hasTimeout { flags |= NFT_SET_TIMEOUT.rawValue }
        if isDynamic { flags |= NFT_SET_EVAL.rawValue }
        return flags
    }
}

/// An element of a set or map.
public struct SetElement: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case none
        case data([UInt8])
        case verdict(Verdict)
    }

    /// Every field of a concatenation is padded to four bytes. Empty for the element that stands for all other keys.
    public var key: [UInt8]
    public var value: Value
    /// This key ends a range (exclusive) of an interval set with one field.
    public var isIntervalEnd: Bool
    /// Last key of a range of concatenations: in each field the last value that belongs to it, at or above `key`'s.
    public var keyEnd: [UInt8]?
    /// Life from the time it was added, in milliseconds.
    public var timeoutMilliseconds: UInt64?
    /// What is left of its life, as a dump says; not sent.
    public var remainingMilliseconds: UInt64?
    /// Stands for all keys that are not there (`*`).
    public var isCatchAll: Bool

    public init(
        _ key: [UInt8], value: Value = .none, isIntervalEnd: Bool = false, keyEnd: [UInt8]? = nil,
        timeoutMilliseconds: UInt64? = nil
    ) {
        self.key = key
        self.value = value
        self.isIntervalEnd = isIntervalEnd
        self.keyEnd = keyEnd
        self.timeoutMilliseconds = timeoutMilliseconds
        isCatchAll = false
    }

    /// The element for all other keys.
    public static func catchAll(value: Value = .none) -> SetElement {
        var element = SetElement([], value: value)
        element.isCatchAll = true
        return element
    }
}
