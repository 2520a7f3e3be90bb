import CLinux
import Glibc

/// Whose a table, chain, rule or set is.
public struct FirewallPlace: Hashable, Sendable {
    /// `NFPROTO_*`.
    public var family: UInt8
    public var table: String

    /// What has the same name as one of ours may be of another family.
    public var knownFamily: NetfilterFamily? { NetfilterFamily(rawValue: family) }
}

/// A table in the kernel, anybody's.
public struct TableEntry: Hashable, Sendable {
    public var place: FirewallPlace
    /// `NFT_TABLE_F_*`: 1 dormant, 2 owned by a process.
    public var flags: UInt32
    public var handle: UInt64?

    init(_ message: FirewallMessage) throws(NetlinkError) {
        place = try message.place(NFTA_TABLE_NAME)
        flags = try message[NFTA_TABLE_FLAGS]?.big() ?? 0
        handle = try message[NFTA_TABLE_HANDLE]?.big()
    }

    /// Its chains see no packets.
    public var isDormant: Bool { flags & 1 != 0 }
}

/// A chain in the kernel, anybody's, without its rules.
public struct ChainEntry: Hashable, Sendable {
    public var place: FirewallPlace
    public var name: String
    public var handle: UInt64?
    /// Where it hangs, if it does.
    public var hook: HookPoint?

    public struct HookPoint: Hashable, Sendable {
        /// `filter`, `nat` or `route`.
        public var type: String
        /// As the family counts its hooks.
        public var number: UInt32
        public var priority: Int32
        public var dropsByDefault: Bool
    }

    /// Of the families whose hooks are numbered as those of IP.
    public var base: FirewallChain.Base? {
        guard let hook, ![.arp, .netdev].contains(place.knownFamily),
            let place = FirewallChain.Hook(rawValue: hook.number)
        else { return nil }
        return .init(type: hook.type, hook: place, priority: hook.priority, dropsByDefault: hook.dropsByDefault)
    }

    init(_ message: FirewallMessage) throws(NetlinkError) {
        place = try message.place(NFTA_CHAIN_TABLE)
        guard let name = message[NFTA_CHAIN_NAME] else { throw .malformed("chain without name") }
        self.name = name.string
        handle = try message[NFTA_CHAIN_HANDLE]?.big()
        guard let point = try message[NFTA_CHAIN_HOOK]?.nested() else { return }
        let policy: UInt32? = try message[NFTA_CHAIN_POLICY]?.big()
        hook = HookPoint(
            type: message[NFTA_CHAIN_TYPE]?.string ?? "", number: try point[of: NFTA_HOOK_HOOKNUM]?.big() ?? .max,
            priority: try point[of: NFTA_HOOK_PRIORITY]?.big() ?? 0,
            dropsByDefault: policy == UInt32(bitPattern: NF_DROP))
    }
}

/// A rule in the kernel, anybody's.
public struct RuleEntry: Hashable, Sendable {
    public var place: FirewallPlace
    public var chain: String
    public var handle: UInt64?
    public var expressions: [RuleExpression]
    public var comment: String?

    init(_ message: FirewallMessage) throws(NetlinkError) {
        place = try message.place(NFTA_RULE_TABLE)
        chain = message[NFTA_RULE_CHAIN]?.string ?? ""
        handle = try message[NFTA_RULE_HANDLE]?.big()
        expressions =
            try message[NFTA_RULE_EXPRESSIONS].map { list throws(NetlinkError) in
                try RuleExpression.list(list.payload)
            } ?? []
        comment = message[NFTA_RULE_USERDATA].flatMap { Self.comment($0.payload) }
    }

    /// User data are triples of type, length and bytes; type 0 is the comment (`NFTNL_UDATA_RULE_COMMENT`).
    private static func comment(_ bytes: ArraySlice<UInt8>) -> String? {
        var rest = bytes
        while let type = rest.first, let length = rest.dropFirst().first, rest.count >= 2 + Int(length) {
            let value = rest.dropFirst(2).prefix(Int(length))
            if type == 0 { return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
            rest = rest.dropFirst(2 + Int(length))
        }
        return nil
    }
}

/// A set or map in the kernel, anybody's, without its elements.
public struct SetEntry: Hashable, Sendable {
    public var place: FirewallPlace
    public var set: FirewallSet
    public var handle: UInt64?

    init(_ message: FirewallMessage) throws(NetlinkError) {
        place = try message.place(NFTA_SET_TABLE)
        handle = try message[NFTA_SET_HANDLE]?.big()
        set = try FirewallSet(message)
    }
}

extension FirewallSet {
    init(_ message: FirewallMessage) throws(NetlinkError) {
        let flags: UInt32 = try message[NFTA_SET_FLAGS]?.big() ?? 0
        let dataType: UInt32? = try message[NFTA_SET_DATA_TYPE]?.big()
        let value: Value =
            switch dataType {
            case nil: .none
            case gantry_nft_data_verdict: .verdict
            case .some(let type): .data(type: type, byteCount: try message[NFTA_SET_DATA_LEN]?.big() ?? 0)
            }
        let description = try message[NFTA_SET_DESC]?.nested() ?? []
        var fields: [UInt32] = []
        for field in try description[of: NFTA_SET_DESC_CONCAT]?.nested() ?? [] {
            if let count: UInt32 = try field.nested()[of: NFTA_SET_FIELD_LEN]?.big() { fields.append(count) }
        }
        self.init(
            message[NFTA_SET_NAME]?.string ?? "", keyType: try message[NFTA_SET_KEY_TYPE]?.big() ?? 0,
            keyByteCount: try message[NFTA_SET_KEY_LEN]?.big() ?? 0, value: value,
            isInterval: flags & NFT_SET_INTERVAL.rawValue != 0,
            isHostOrder: message[NFTA_SET_USERDATA].map { Array($0.payload.prefix(6)) } == keyByteOrderHost,
            fieldByteCounts: fields, hasTimeout: flags & NFT_SET_TIMEOUT.rawValue != 0,
            timeoutMilliseconds: try message[NFTA_SET_TIMEOUT]?.big(),
            isDynamic: flags & NFT_SET_EVAL.rawValue != 0,
            countMax: try description[of: NFTA_SET_DESC_SIZE]?.big())
    }
}

/// A message about the rule set: `struct nfgenmsg` and attributes.
struct FirewallMessage {
    let family: UInt8
    let attributes: [Attribute]

    init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        family = try cursor.native()
        try cursor.skip(3)
        attributes = try Attribute.parse(cursor.rest)
    }

    subscript(type: some KernelConstant) -> Attribute? { attributes[of: type] }

    func place(_ type: some KernelConstant) throws(NetlinkError) -> FirewallPlace {
        guard let name = self[type] else { throw .malformed("firewall entry without table") }
        return FirewallPlace(family: family, table: name.string)
    }
}

extension NetlinkSocket {
    private func entries<Entry>(
        _ type: nf_tables_msg_types, _ family: NetfilterFamily?, operation: String,
        _ body: (inout MessageBuilder) -> Void = { _ in }, _ read: (FirewallMessage) throws(NetlinkError) -> Entry
    ) throws(NetlinkError) -> [Entry] {
        let request = UInt16(truncatingIfNeeded: NFNL_SUBSYS_NFTABLES) << 8 | type.type16
        var entries: [Entry] = []
        for message in try dump(
            type: request, operation: operation,
            {
                $0.netfilterHeader(family?.rawValue ?? UInt8(AF_UNSPEC))
                body(&$0)
            })
        {
            entries.append(try read(FirewallMessage(message)))
        }
        return entries
    }

    /// Every table of one family or of all.
    public func firewallTables(family: NetfilterFamily? = nil) throws(NetlinkError) -> [TableEntry] {
        try entries(NFT_MSG_GETTABLE, family, operation: "list tables") { message throws(NetlinkError) in
            try TableEntry(message)
        }
    }

    /// Every chain of one family or of all, anybody's: with `hook` those that see packets.
    public func firewallChains(family: NetfilterFamily? = nil) throws(NetlinkError) -> [ChainEntry] {
        try entries(NFT_MSG_GETCHAIN, family, operation: "list chains") { message throws(NetlinkError) in
            try ChainEntry(message)
        }
    }

    /// Every rule of one family or of all, of one table or of all, in the order in which they are asked.
    public func firewallRules(
        family: NetfilterFamily? = nil, table: String? = nil
    ) throws(NetlinkError) -> [RuleEntry] {
        let ask: (inout MessageBuilder) -> Void = { if let table { $0.put(NFTA_RULE_TABLE, string: table) } }
        return try entries(NFT_MSG_GETRULE, family, operation: "list rules", ask) { message throws(NetlinkError) in
            try RuleEntry(message)
        }
    }

    /// Every set and map of one family or of all.
    public func firewallSets(family: NetfilterFamily? = nil) throws(NetlinkError) -> [SetEntry] {
        try entries(NFT_MSG_GETSET, family, operation: "list sets") { message throws(NetlinkError) in
            try SetEntry(message)
        }
    }
}
