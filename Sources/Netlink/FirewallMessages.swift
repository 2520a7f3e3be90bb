import CLinux
import Glibc

/// A chain of a table.
public struct FirewallChain: Equatable, Sendable {
    /// Where a base chain hangs.
    public enum Hook: Sendable {
        case prerouting, forward, output, postrouting

        var number: UInt32 {
            switch self {
            case .prerouting: UInt32(NF_INET_PRE_ROUTING.rawValue)
            case .forward: UInt32(NF_INET_FORWARD.rawValue)
            case .output: UInt32(NF_INET_LOCAL_OUT.rawValue)
            case .postrouting: UInt32(NF_INET_POST_ROUTING.rawValue)
            }
        }
    }

    /// A base chain: its type (`filter`, `nat`), hook and priority; policy accept always.
    public struct Base: Equatable, Sendable {
        public var type: String
        public var hook: Hook
        public var priority: Int32

        public init(type: String, hook: Hook, priority: Int32) {
            self.type = type
            self.hook = hook
            self.priority = priority
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
public struct FirewallSet: Equatable, Sendable {
    public enum Value: Equatable, Sendable {
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
    /// Keys are starts and ends of ranges.
    public var isInterval: Bool
    /// Tells `nft list` that keys are in the machine's byte order, as it takes names to be.
    public var isHostOrder: Bool

    public init(
        _ name: String, keyType: UInt32, keyByteCount: UInt32, value: Value = .none, isInterval: Bool = false,
        isHostOrder: Bool = false
    ) {
        self.name = name
        self.isHostOrder = isHostOrder
        self.keyType = keyType
        self.keyByteCount = keyByteCount
        self.value = value
        self.isInterval = isInterval
    }
}

/// An element of a set or map.
public struct SetElement: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case none
        case data([UInt8])
        case verdict(Verdict)
    }

    /// Every field of a concatenation is padded to four bytes.
    public var key: [UInt8]
    public var value: Value
    /// This key ends a range (exclusive) of an interval set.
    public var isIntervalEnd: Bool

    public init(_ key: [UInt8], value: Value = .none, isIntervalEnd: Bool = false) {
        self.key = key
        self.value = value
        self.isIntervalEnd = isIntervalEnd
    }
}

/// `NFTNL_UDATA_SET_KEYBYTEORDER` (type 0, four bytes) with libnftables' `BYTEORDER_HOST_ENDIAN`.
private let keyByteOrderHost: [UInt8] = [0, 4] + withUnsafeBytes(of: UInt32(1)) { Array($0) }

/// Elements one message carries: an attribute's length has 16 bits, an element takes at most some 130 bytes.
let elementsPerMessageMax = 400

extension MessageBuilder {
    private static func nftType(_ type: some KernelConstant) -> UInt16 {
        UInt16(truncatingIfNeeded: NFNL_SUBSYS_NFTABLES) << 8 | type.type16
    }

    /// `struct nfgenmsg`.
    mutating func netfilterHeader(_ family: UInt8, resource: UInt16 = 0) {
        appendNative(family)
        appendNative(UInt8(truncatingIfNeeded: NFNETLINK_V0))
        appendNative(resource.bigEndian)
    }

    private mutating func batchMark(_ type: Int32, generation: UInt32?) {
        message(type: type.type16, isBatchMark: true) {
            $0.netfilterHeader(UInt8(AF_UNSPEC), resource: UInt16(truncatingIfNeeded: NFNL_SUBSYS_NFTABLES))
            if let generation { $0.put(NFNL_BATCH_GENID, big: generation) }
        }
    }

    /// Everything up to `endBatch` takes effect at once or not at all. With a generation it fails with ERESTART when
    /// the rule set was changed by anybody since it had that number.
    public mutating func beginBatch(generation: UInt32?) { batchMark(NFNL_MSG_BATCH_BEGIN, generation: generation) }
    public mutating func endBatch() { batchMark(NFNL_MSG_BATCH_END, generation: nil) }

    private mutating func nft(
        _ type: nf_tables_msg_types, flags: Int32 = 0, _ body: (inout MessageBuilder) -> Void
    ) {
        message(type: Self.nftType(type), flags: flags) {
            $0.netfilterHeader(NetfilterFamily.inet.rawValue)
            body(&$0)
        }
    }

    /// Makes an `inet` table, or leaves it when it is there.
    public mutating func newTable(_ table: String) {
        nft(NFT_MSG_NEWTABLE, flags: NLM_F_CREATE) { $0.put(NFTA_TABLE_NAME, string: table) }
    }

    public mutating func deleteTable(_ table: String) {
        nft(NFT_MSG_DELTABLE) { $0.put(NFTA_TABLE_NAME, string: table) }
    }

    /// Makes a chain, without its rules.
    public mutating func newChain(_ chain: FirewallChain, table: String) {
        nft(NFT_MSG_NEWCHAIN, flags: NLM_F_CREATE) {
            $0.put(NFTA_CHAIN_TABLE, string: table)
            $0.put(NFTA_CHAIN_NAME, string: chain.name)
            guard let base = chain.base else { return }
            $0.nest(NFTA_CHAIN_HOOK) {
                $0.put(NFTA_HOOK_HOOKNUM, big: base.hook.number)
                $0.put(NFTA_HOOK_PRIORITY, big: base.priority)
            }
            $0.put(NFTA_CHAIN_POLICY, big: UInt32(NF_ACCEPT))
            $0.put(NFTA_CHAIN_TYPE, string: base.type)
        }
    }

    /// Appends a rule to a chain.
    public mutating func newRule(_ expressions: [RuleExpression], chain: String, table: String) {
        nft(NFT_MSG_NEWRULE, flags: NLM_F_CREATE | NLM_F_APPEND) {
            $0.put(NFTA_RULE_TABLE, string: table)
            $0.put(NFTA_RULE_CHAIN, string: chain)
            $0.nest(NFTA_RULE_EXPRESSIONS) { list in
                for expression in expressions { expression.encode(into: &list) }
            }
        }
    }

    /// Makes a set or map. `id` must be unique within the batch.
    public mutating func newSet(_ set: FirewallSet, table: String, id: UInt32) {
        nft(NFT_MSG_NEWSET, flags: NLM_F_CREATE) {
            $0.put(NFTA_SET_TABLE, string: table)
            $0.put(NFTA_SET_NAME, string: set.name)
            var flags = set.isInterval ? NFT_SET_INTERVAL.rawValue : 0
            if set.value != .none { flags |= NFT_SET_MAP.rawValue }
            $0.put(NFTA_SET_FLAGS, big: flags)
            $0.put(NFTA_SET_KEY_TYPE, big: set.keyType)
            $0.put(NFTA_SET_KEY_LEN, big: set.keyByteCount)
            switch set.value {
            case .none: break
            case .data(let type, let byteCount):
                $0.put(NFTA_SET_DATA_TYPE, big: type)
                $0.put(NFTA_SET_DATA_LEN, big: byteCount)
            case .verdict: $0.put(NFTA_SET_DATA_TYPE, big: gantry_nft_data_verdict)
            }
            $0.put(NFTA_SET_ID, big: id)
            if set.isHostOrder { $0.put(NFTA_SET_USERDATA, keyByteOrderHost) }
        }
    }

    /// Adds elements; fails with EEXIST when a key is there already.
    public mutating func newElements(_ elements: [SetElement], set: String, table: String) {
        self.elements(NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE | NLM_F_EXCL, elements, set: set, table: table)
    }

    /// Removes elements; fails with ENOENT when one is not there.
    public mutating func deleteElements(_ elements: [SetElement], set: String, table: String) {
        self.elements(NFT_MSG_DELSETELEM, flags: 0, elements, set: set, table: table)
    }

    private mutating func elements(
        _ type: nf_tables_msg_types, flags: Int32, _ elements: [SetElement], set: String, table: String
    ) {
        var rest = elements[...]
        while !rest.isEmpty {
            let some = rest.prefix(elementsPerMessageMax)
            rest = rest.dropFirst(elementsPerMessageMax)
            nft(type, flags: flags) {
                $0.put(NFTA_SET_ELEM_LIST_TABLE, string: table)
                $0.put(NFTA_SET_ELEM_LIST_SET, string: set)
                $0.nest(NFTA_SET_ELEM_LIST_ELEMENTS) { list in
                    for element in some { list.element(element, withValue: type == NFT_MSG_NEWSETELEM) }
                }
            }
        }
    }

    private mutating func element(_ element: SetElement, withValue: Bool) {
        nest(NFTA_LIST_ELEM) {
            if element.isIntervalEnd { $0.put(NFTA_SET_ELEM_FLAGS, big: NFT_SET_ELEM_INTERVAL_END.rawValue) }
            $0.nest(NFTA_SET_ELEM_KEY) { $0.put(NFTA_DATA_VALUE, element.key) }
            guard withValue else { return }
            switch element.value {
            case .none: break
            case .data(let bytes): $0.nest(NFTA_SET_ELEM_DATA) { $0.put(NFTA_DATA_VALUE, bytes) }
            case .verdict(let verdict): $0.nest(NFTA_SET_ELEM_DATA) { $0.data(verdict) }
            }
        }
    }
}
