import CLinux
import Glibc

/// `NFTNL_UDATA_SET_KEYBYTEORDER` (type 0, four bytes) with libnftables' `BYTEORDER_HOST_ENDIAN`.
let keyByteOrderHost: [UInt8] = [0, 4] + withUnsafeBytes(of: UInt32(1)) { Array($0) }

/// `NFTNL_UDATA_RULE_COMMENT` (type 0): length with the NUL, text.
private func commentUserData(_ comment: String) -> [UInt8] {
    let text = Array(comment.utf8.prefix(commentByteCountMax - 1)) + [0]
    return [0, UInt8(truncatingIfNeeded: text.count)] + text
}

/// With its NUL (`NFTNL_UDATA_COMMENT_MAXLEN`).
private let commentByteCountMax = 128

/// Elements one message carries, and their bytes: an attribute's length has 16 bits.
let elementsPerMessageMax = 400
private let elementByteCountMax = 60_000

extension SetElement {
    /// An upper bound: three data attributes with two headers each, flags, timeout, the name of a chain.
    fileprivate var byteCountMax: Int {
        var count = 80 + key.count + (keyEnd?.count ?? 0)
        switch value {
        case .none: break
        case .data(let bytes): count += bytes.count
        case .verdict(let verdict): count += verdict.chain?.utf8.count ?? 0
        }
        return count
    }
}

/// As many of the first elements as fit one message, one at least.
private func firstThatFit(_ elements: ArraySlice<SetElement>) -> ArraySlice<SetElement> {
    var byteCount = 0
    for (count, element) in elements.enumerated() {
        byteCount += element.byteCountMax
        if count > 0, byteCount > elementByteCountMax || count == elementsPerMessageMax {
            return elements.prefix(count)
        }
    }
    return elements
}

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
        _ type: nf_tables_msg_types, _ family: NetfilterFamily, flags: Int32 = 0,
        _ body: (inout MessageBuilder) -> Void
    ) {
        message(type: Self.nftType(type), flags: flags) {
            $0.netfilterHeader(family.rawValue)
            body(&$0)
        }
    }

    // MARK: tables

    /// Makes a table, or leaves it when it is there.
    public mutating func newTable(_ table: String, family: NetfilterFamily = .inet) {
        nft(NFT_MSG_NEWTABLE, family, flags: NLM_F_CREATE) { $0.put(NFTA_TABLE_NAME, string: table) }
    }

    public mutating func deleteTable(_ table: String, family: NetfilterFamily = .inet) {
        nft(NFT_MSG_DELTABLE, family) { $0.put(NFTA_TABLE_NAME, string: table) }
    }

    // MARK: chains

    /// Makes a chain, without its rules. One that is there gets another policy at most.
    public mutating func newChain(_ chain: FirewallChain, table: String, family: NetfilterFamily = .inet) {
        nft(NFT_MSG_NEWCHAIN, family, flags: NLM_F_CREATE) {
            $0.put(NFTA_CHAIN_TABLE, string: table)
            $0.put(NFTA_CHAIN_NAME, string: chain.name)
            guard let base = chain.base else { return }
            $0.nest(NFTA_CHAIN_HOOK) {
                $0.put(NFTA_HOOK_HOOKNUM, big: base.hook.number)
                $0.put(NFTA_HOOK_PRIORITY, big: base.priority)
            }
            $0.put(NFTA_CHAIN_POLICY, big: UInt32(bitPattern: base.dropsByDefault ? NF_DROP : NF_ACCEPT))
            $0.put(NFTA_CHAIN_TYPE, string: base.type)
        }
    }

    /// Deletes a chain with its rules; fails with EBUSY while rules or elements jump to it.
    public mutating func deleteChain(_ chain: String, table: String, family: NetfilterFamily = .inet) {
        nft(NFT_MSG_DELCHAIN, family) {
            $0.put(NFTA_CHAIN_TABLE, string: table)
            $0.put(NFTA_CHAIN_NAME, string: chain)
        }
    }

    // MARK: rules

    /// Appends a rule to a chain. `comment` is shown by `nft list`: at most 128 bytes.
    public mutating func newRule(
        _ expressions: [RuleExpression], chain: String, table: String, family: NetfilterFamily = .inet,
        comment: String? = nil
    ) {
        rule(expressions, chain, table, family, comment, flags: NLM_F_CREATE | NLM_F_APPEND, place: nil)
    }

    /// Puts a rule before the chain's first, or before the one with the handle.
    public mutating func insertRule(
        _ expressions: [RuleExpression], chain: String, table: String, family: NetfilterFamily = .inet,
        before handle: UInt64? = nil, comment: String? = nil
    ) {
        rule(expressions, chain, table, family, comment, flags: NLM_F_CREATE, place: (NFTA_RULE_POSITION, handle))
    }

    private mutating func rule(
        _ expressions: [RuleExpression], _ chain: String, _ table: String, _ family: NetfilterFamily,
        _ comment: String?, flags: Int32, place: (type: nft_rule_attributes, handle: UInt64?)?
    ) {
        nft(NFT_MSG_NEWRULE, family, flags: flags) {
            $0.put(NFTA_RULE_TABLE, string: table)
            $0.put(NFTA_RULE_CHAIN, string: chain)
            if let place, let handle = place.handle { $0.put(place.type, big: handle) }
            $0.nest(NFTA_RULE_EXPRESSIONS) { list in
                for expression in expressions { expression.encode(into: &list) }
            }
            if let comment { $0.put(NFTA_RULE_USERDATA, commentUserData(comment)) }
        }
    }

    /// Deletes one rule, by the handle a dump says.
    public mutating func deleteRule(
        _ handle: UInt64, chain: String, table: String, family: NetfilterFamily = .inet
    ) {
        nft(NFT_MSG_DELRULE, family) {
            $0.put(NFTA_RULE_TABLE, string: table)
            $0.put(NFTA_RULE_CHAIN, string: chain)
            $0.put(NFTA_RULE_HANDLE, big: handle)
        }
    }

    /// Deletes every rule of a chain, or of the table.
    public mutating func flushRules(chain: String?, table: String, family: NetfilterFamily = .inet) {
        nft(NFT_MSG_DELRULE, family) {
            $0.put(NFTA_RULE_TABLE, string: table)
            if let chain { $0.put(NFTA_RULE_CHAIN, string: chain) }
        }
    }

    // MARK: sets

    /// Makes a set or map. `id` must be unique within the batch.
    public mutating func newSet(_ set: FirewallSet, table: String, id: UInt32, family: NetfilterFamily = .inet) {
        nft(NFT_MSG_NEWSET, family, flags: NLM_F_CREATE) {
            $0.put(NFTA_SET_TABLE, string: table)
            $0.put(NFTA_SET_NAME, string: set.name)
            $0.put(NFTA_SET_FLAGS, big: set.flags)
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
            $0.describe(set)
            if let timeout = set.timeoutMilliseconds { $0.put(NFTA_SET_TIMEOUT, big: timeout) }
            if set.isHostOrder { $0.put(NFTA_SET_USERDATA, keyByteOrderHost) }
        }
    }

    private mutating func describe(_ set: FirewallSet) {
        guard set.countMax != nil || !set.fieldByteCounts.isEmpty else { return }
        nest(NFTA_SET_DESC) {
            if let countMax = set.countMax { $0.put(NFTA_SET_DESC_SIZE, big: countMax) }
            guard !set.fieldByteCounts.isEmpty else { return }
            $0.nest(NFTA_SET_DESC_CONCAT) {
                for count in set.fieldByteCounts {
                    $0.nest(NFTA_LIST_ELEM) { $0.put(NFTA_SET_FIELD_LEN, big: count) }
                }
            }
        }
    }

    /// Deletes a set; fails with EBUSY while rules use it.
    public mutating func deleteSet(_ set: String, table: String, family: NetfilterFamily = .inet) {
        nft(NFT_MSG_DELSET, family) {
            $0.put(NFTA_SET_TABLE, string: table)
            $0.put(NFTA_SET_NAME, string: set)
        }
    }

    // MARK: elements

    /// Adds elements; fails with EEXIST when a key is there already.
    public mutating func newElements(
        _ elements: [SetElement], set: String, table: String, family: NetfilterFamily = .inet
    ) {
        self.elements(
            NFT_MSG_NEWSETELEM, family, flags: NLM_F_CREATE | NLM_F_EXCL, elements, set: set, table: table)
    }

    /// Removes elements; fails with ENOENT when one is not there.
    public mutating func deleteElements(
        _ elements: [SetElement], set: String, table: String, family: NetfilterFamily = .inet
    ) {
        self.elements(NFT_MSG_DELSETELEM, family, flags: 0, elements, set: set, table: table)
    }

    /// Removes every element of a set.
    public mutating func flushElements(set: String, table: String, family: NetfilterFamily = .inet) {
        nft(NFT_MSG_DELSETELEM, family) {
            $0.put(NFTA_SET_ELEM_LIST_TABLE, string: table)
            $0.put(NFTA_SET_ELEM_LIST_SET, string: set)
        }
    }

    private mutating func elements(
        _ type: nf_tables_msg_types, _ family: NetfilterFamily, flags: Int32, _ elements: [SetElement], set: String,
        table: String
    ) {
        var rest = elements[...]
        while !rest.isEmpty {
            let some = firstThatFit(rest)
            rest = rest.dropFirst(some.count)
            nft(type, family, flags: flags) {
                $0.put(NFTA_SET_ELEM_LIST_TABLE, string: table)
                $0.put(NFTA_SET_ELEM_LIST_SET, string: set)
                $0.nest(NFTA_SET_ELEM_LIST_ELEMENTS) { list in
                    for element in some { list.element(element, isNew: type == NFT_MSG_NEWSETELEM) }
                }
            }
        }
    }

    /// What is deleted is found by its key alone.
    private mutating func element(_ element: SetElement, isNew: Bool) {
        nest(NFTA_LIST_ELEM) {
            var flags: UInt32 = 0
            if element.isIntervalEnd { flags |= NFT_SET_ELEM_INTERVAL_END.rawValue }
            if element.isCatchAll { flags |= NFT_SET_ELEM_CATCHALL.rawValue }
            if flags != 0 { $0.put(NFTA_SET_ELEM_FLAGS, big: flags) }
            if !element.isCatchAll { $0.nest(NFTA_SET_ELEM_KEY) { $0.put(NFTA_DATA_VALUE, element.key) } }
            if let end = element.keyEnd { $0.nest(NFTA_SET_ELEM_KEY_END) { $0.put(NFTA_DATA_VALUE, end) } }
            guard isNew else { return }
            if let timeout = element.timeoutMilliseconds { $0.put(NFTA_SET_ELEM_TIMEOUT, big: timeout) }
            switch element.value {
            case .none: break
            case .data(let bytes): $0.nest(NFTA_SET_ELEM_DATA) { $0.put(NFTA_DATA_VALUE, bytes) }
            case .verdict(let verdict): $0.nest(NFTA_SET_ELEM_DATA) { $0.data(verdict) }
            }
        }
    }
}
