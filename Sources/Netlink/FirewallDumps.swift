import CLinux
import Glibc

/// What a table holds apart from set elements, in a form that is equal exactly when the table works the same way:
/// handles and use counts are left out.
public struct TableShape: Equatable, Sendable {
    /// Chains with their hook, rules with their expressions, sets with their types; raw attribute bytes.
    public var chains: [[UInt8]]
    public var rules: [[UInt8]]
    public var sets: [[UInt8]]

    /// Names of the sets there are.
    public var setNames: Set<String>

    public var isEmpty: Bool { chains.isEmpty && rules.isEmpty && sets.isEmpty }
}

extension NetlinkSocket {
    private func nftDump(
        _ type: nf_tables_msg_types, family: NetfilterFamily = .inet, operation: String,
        _ body: (inout MessageBuilder) -> Void
    ) throws(NetlinkError) -> [[Attribute]] {
        let request = UInt16(truncatingIfNeeded: NFNL_SUBSYS_NFTABLES) << 8 | type.type16
        let messages = try dump(type: request, operation: operation) {
            $0.netfilterHeader(family.rawValue)
            body(&$0)
        }
        var entries: [[Attribute]] = []
        for message in messages {
            var cursor = ByteCursor(message.payload)
            try cursor.skip(4)
            entries.append(try Attribute.parse(cursor.rest))
        }
        return entries
    }

    /// Number of the rule set's generation: every transaction of anybody raises it by one.
    public func firewallGeneration() throws(NetlinkError) -> UInt32 {
        let type = UInt16(truncatingIfNeeded: NFNL_SUBSYS_NFTABLES) << 8 | NFT_MSG_GETGEN.type16
        let answer = try query(type: type, operation: "read firewall generation") {
            $0.netfilterHeader(UInt8(AF_UNSPEC))
        }
        var cursor = ByteCursor(answer.payload)
        try cursor.skip(4)
        guard let generation = try Attribute.parse(cursor.rest)[of: NFTA_GEN_ID] else {
            throw .malformed("firewall generation without number")
        }
        return try generation.big()
    }

    /// Names of the `inet` tables.
    public func tables() throws(NetlinkError) -> [String] {
        try nftDump(NFT_MSG_GETTABLE, operation: "list tables") { _ in }.compactMap { $0[of: NFTA_TABLE_NAME]?.string }
    }

    /// The chains, rules and sets of a table; empty when it is not there.
    public func shape(ofTable table: String) throws(NetlinkError) -> TableShape {
        let chains = try nftDump(NFT_MSG_GETCHAIN, operation: "list chains") { _ in }
        let rules = try nftDump(NFT_MSG_GETRULE, operation: "list rules") { $0.put(NFTA_RULE_TABLE, string: table) }
        let sets = try nftDump(NFT_MSG_GETSET, operation: "list sets") { _ in }
        return TableShape(
            chains: chains.filter { $0[of: NFTA_CHAIN_TABLE]?.string == table }.map {
                bytes($0, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE)
            },
            rules: rules.filter { $0[of: NFTA_RULE_TABLE]?.string == table }.map {
                bytes($0, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS)
            },
            sets: sets.filter { $0[of: NFTA_SET_TABLE]?.string == table }.map {
                bytes($0, NFTA_SET_NAME, NFTA_SET_FLAGS, NFTA_SET_KEY_LEN, NFTA_SET_DATA_TYPE, NFTA_SET_DATA_LEN)
            },
            setNames: Set(
                sets.filter { $0[of: NFTA_SET_TABLE]?.string == table }.compactMap { $0[of: NFTA_SET_NAME]?.string }))
    }

    private func bytes<Type: KernelConstant>(_ attributes: [Attribute], _ types: Type...) -> [UInt8] {
        types.flatMap { type in
            guard let attribute = attributes[of: type] else { return [UInt8]() }
            return [UInt8(truncatingIfNeeded: attribute.type)] + attribute.payload
        }
    }

    /// Every element of a set; ENOENT when the set or its table is not there.
    public func elements(
        ofSet set: String, table: String, family: NetfilterFamily = .inet
    ) throws(NetlinkError) -> [SetElement] {
        let entries = try nftDump(NFT_MSG_GETSETELEM, family: family, operation: "list elements of \(set)") {
            $0.put(NFTA_SET_ELEM_LIST_TABLE, string: table)
            $0.put(NFTA_SET_ELEM_LIST_SET, string: set)
        }
        var elements: [SetElement] = []
        for entry in entries {
            for item in try entry[of: NFTA_SET_ELEM_LIST_ELEMENTS]?.nested() ?? [] {
                elements.append(try SetElement(item.nested()))
            }
        }
        return elements
    }
}

extension SetElement {
    init(_ attributes: [Attribute]) throws(NetlinkError) {
        let flags: UInt32 = try attributes[of: NFTA_SET_ELEM_FLAGS]?.big() ?? 0
        isIntervalEnd = flags & NFT_SET_ELEM_INTERVAL_END.rawValue != 0
        isCatchAll = flags & NFT_SET_ELEM_CATCHALL.rawValue != 0
        if isCatchAll {
            key = []
        } else if let bytes = try attributes[of: NFTA_SET_ELEM_KEY]?.nested()[of: NFTA_DATA_VALUE] {
            key = Array(bytes.payload)
        } else {
            throw .malformed("set element without key")
        }
        keyEnd = try attributes[of: NFTA_SET_ELEM_KEY_END]?.nested()[of: NFTA_DATA_VALUE].map { Array($0.payload) }
        timeoutMilliseconds = try attributes[of: NFTA_SET_ELEM_TIMEOUT]?.big()
        remainingMilliseconds = try attributes[of: NFTA_SET_ELEM_EXPIRATION]?.big()
        let data = try attributes[of: NFTA_SET_ELEM_DATA]?.nested() ?? []
        if let bytes = data[of: NFTA_DATA_VALUE] {
            value = .data(Array(bytes.payload))
        } else if let verdict = data[of: NFTA_DATA_VERDICT] {
            value = .verdict(try Verdict(verdict.nested()))
        } else {
            value = .none
        }
    }
}

extension Verdict {
    init(_ attributes: [Attribute]) throws(NetlinkError) {
        let code: Int32 = try attributes[of: NFTA_VERDICT_CODE]?.big() ?? 0
        let chain = attributes[of: NFTA_VERDICT_CHAIN]?.string ?? ""
        switch code {
        case NFT_JUMP.rawValue: self = .jump(chain)
        case NFT_GOTO.rawValue: self = .goto(chain)
        case NFT_RETURN.rawValue: self = .return
        case NFT_CONTINUE.rawValue: self = .continue
        case Int32(NF_DROP): self = .drop
        case Int32(NF_ACCEPT): self = .accept
        case _ where code & 0xff == NF_QUEUE: self = .queue(code)
        default: throw .malformed("verdict \(code)")
        }
    }
}

/// A change of the rule set, from `NFNLGRP_NFTABLES`.
public struct FirewallEvent: Equatable, Sendable {
    /// Table it is about.
    public var table: String
    /// The socket whose request caused it.
    public var portID: UInt32

    /// `nil` for messages that are about no table (the generation mark of each transaction) or about another subsystem.
    public init?(_ message: NetlinkMessage) throws(NetlinkError) {
        guard message.type >> 8 == UInt16(truncatingIfNeeded: NFNL_SUBSYS_NFTABLES),
            message.type & 0xff != NFT_MSG_NEWGEN.type16
        else { return nil }
        var cursor = ByteCursor(message.payload)
        try cursor.skip(4)
        // The table's name is attribute 1 in messages of every kind:
        // NFTA_{TABLE_NAME,CHAIN_TABLE,RULE_TABLE,SET_TABLE,…}.
        guard let name = try Attribute.parse(cursor.rest)[of: NFTA_TABLE_NAME] else { return nil }
        table = name.string
        portID = message.portID
    }
}
