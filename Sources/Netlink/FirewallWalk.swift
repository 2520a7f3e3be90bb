import CLinux
import Glibc

/// A chain of anybody's table, of the families `ip`, `ip6` and `inet`, as the kernel lists it.
public struct ListedChain: Equatable, Sendable {
    /// Where a base chain hangs.
    public struct Hook: Equatable, Sendable {
        /// `NF_INET_*`.
        public var number: UInt32
        public var priority: Int32
        /// What becomes of a packet that no rule decides about; false: it goes on.
        public var dropsByPolicy: Bool

        public init(number: UInt32, priority: Int32, dropsByPolicy: Bool) {
            self.number = number
            self.priority = priority
            self.dropsByPolicy = dropsByPolicy
        }
    }

    public var family: NetfilterFamily
    public var table: String
    public var name: String
    /// `nil` when it is only jumped to.
    public var hook: Hook?

    public init(family: NetfilterFamily, table: String, name: String, hook: Hook? = nil) {
        self.family = family
        self.table = table
        self.name = name
        self.hook = hook
    }
}

/// A rule of anybody's chain: its steps undecoded but for their names, since any module of the kernel may be in it.
public struct ListedRule: Equatable, Sendable {
    /// One instruction of the nftables virtual machine.
    public struct Step: Equatable, Sendable {
        /// The kernel module's name, e.g. `cmp`; `match` and `target` are those of iptables.
        public var name: String
        public var attributes: [Attribute]

        public init(_ name: String, _ attributes: [Attribute] = []) {
            self.name = name
            self.attributes = attributes
        }
    }

    public var family: NetfilterFamily
    public var table: String
    public var chain: String
    /// The kernel's number for it, unique in its table.
    public var handle: UInt64
    public var steps: [Step]
    /// What `nft` shows as its comment.
    public var comment: String?

    public init(
        family: NetfilterFamily, table: String, chain: String, handle: UInt64 = 0, steps: [Step],
        comment: String? = nil
    ) {
        self.family = family
        self.table = table
        self.chain = chain
        self.handle = handle
        self.steps = steps
        self.comment = comment
    }
}

/// `NFTNL_UDATA_RULE_COMMENT` of libnftnl: type 0, length, text with its NUL.
private let commentType: UInt8 = 0

extension NetlinkSocket {
    /// The chains of every table of the families `ip`, `ip6` and `inet`.
    public func listedChains() throws(NetlinkError) -> [ListedChain] {
        var chains: [ListedChain] = []
        for (family, entry) in try everyFamily(NFT_MSG_GETCHAIN, operation: "list chains of every table") {
            guard let table = entry[of: NFTA_CHAIN_TABLE]?.string, let name = entry[of: NFTA_CHAIN_NAME]?.string else {
                throw .malformed("chain without a name")
            }
            var chain = ListedChain(family: family, table: table, name: name)
            if let hook = try entry[of: NFTA_CHAIN_HOOK]?.nested(), let number = hook[of: NFTA_HOOK_HOOKNUM] {
                let policy: UInt32 = try entry[of: NFTA_CHAIN_POLICY]?.big() ?? UInt32(NF_ACCEPT)
                chain.hook = ListedChain.Hook(
                    number: try number.big(), priority: try hook[of: NFTA_HOOK_PRIORITY]?.big() ?? 0,
                    dropsByPolicy: policy == UInt32(NF_DROP))
            }
            chains.append(chain)
        }
        return chains
    }

    /// The rules of every table of these families but one, chain by chain in the order in which they are run.
    public func listedRules(exceptTable own: String? = nil) throws(NetlinkError) -> [ListedRule] {
        var rules: [ListedRule] = []
        for (family, entry) in try everyFamily(NFT_MSG_GETRULE, operation: "list rules of every table") {
            guard let table = entry[of: NFTA_RULE_TABLE]?.string, let chain = entry[of: NFTA_RULE_CHAIN]?.string else {
                throw .malformed("rule without a chain")
            }
            if family == .inet, table == own { continue }
            var rule = ListedRule(
                family: family, table: table, chain: chain, handle: try entry[of: NFTA_RULE_HANDLE]?.big() ?? 0,
                steps: [])
            for item in try entry[of: NFTA_RULE_EXPRESSIONS]?.nested() ?? [] {
                let step = try item.nested()
                rule.steps.append(
                    ListedRule.Step(
                        step[of: NFTA_EXPR_NAME]?.string ?? "", try step[of: NFTA_EXPR_DATA]?.nested() ?? []))
            }
            rule.comment = entry[of: NFTA_RULE_USERDATA].flatMap { comment(inUserData: $0.payload) }
            rules.append(rule)
        }
        return rules
    }

    private func everyFamily(
        _ type: nf_tables_msg_types, operation: String
    ) throws(NetlinkError) -> [(NetfilterFamily, [Attribute])] {
        let request = UInt16(truncatingIfNeeded: NFNL_SUBSYS_NFTABLES) << 8 | type.type16
        var entries: [(NetfilterFamily, [Attribute])] = []
        for message in try dump(type: request, operation: operation, { $0.netfilterHeader(UInt8(AF_UNSPEC)) }) {
            var cursor = ByteCursor(message.payload)
            let number: UInt8 = try cursor.native()
            try cursor.skip(3)
            guard let family = NetfilterFamily(rawValue: number) else { continue }
            entries.append((family, try Attribute.parse(cursor.rest)))
        }
        return entries
    }
}

/// The comment in a rule's user data: a list of type, length, value, one byte each but the value.
func comment(inUserData bytes: ArraySlice<UInt8>) -> String? {
    var rest = bytes
    while let type = rest.popFirst(), let length = rest.popFirst(), rest.count >= Int(length) {
        let value = rest.prefix(Int(length))
        rest = rest.dropFirst(Int(length))
        if type == commentType { return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
    }
    return nil
}

extension MessageBuilder {
    private mutating func rule(
        _ type: nf_tables_msg_types, flags: Int32, _ family: NetfilterFamily, table: String, chain: String,
        _ body: (inout MessageBuilder) -> Void
    ) {
        message(type: UInt16(truncatingIfNeeded: NFNL_SUBSYS_NFTABLES) << 8 | type.type16, flags: flags) {
            $0.netfilterHeader(family.rawValue)
            $0.put(NFTA_RULE_TABLE, string: table)
            $0.put(NFTA_RULE_CHAIN, string: chain)
            body(&$0)
        }
    }

    /// Removes one rule of a table of any family; ENOENT when it is not there.
    public mutating func deleteRule(_ rule: ListedRule) {
        self.rule(NFT_MSG_DELRULE, flags: 0, rule.family, table: rule.table, chain: rule.chain) {
            $0.put(NFTA_RULE_HANDLE, big: rule.handle)
        }
    }

    /// Puts a rule before all others of a chain of any family. Of the steps, bytes are taken as they are.
    public mutating func insertRule(_ rule: ListedRule) {
        self.rule(NFT_MSG_NEWRULE, flags: NLM_F_CREATE, rule.family, table: rule.table, chain: rule.chain) {
            $0.nest(NFTA_RULE_EXPRESSIONS) { list in
                for step in rule.steps {
                    list.nest(NFTA_LIST_ELEM) { item in
                        item.put(NFTA_EXPR_NAME, string: step.name)
                        item.nest(NFTA_EXPR_DATA) { data in
                            for attribute in step.attributes { data.put(Int(attribute.type), attribute.payload) }
                        }
                    }
                }
            }
            guard let comment = rule.comment else { return }
            let text = Array(comment.utf8.prefix(Int(UInt8.max) - 1)) + [0]
            $0.put(NFTA_RULE_USERDATA, [commentType, UInt8(truncatingIfNeeded: text.count)] + text)
        }
    }
}

extension ListedRule.Step {
    /// Steps that the codec knows, decoded back: as they would be sent, so that lists of both can be compared.
    public init(_ expression: RuleExpression) throws(NetlinkError) {
        var builder = MessageBuilder()
        expression.encode(into: &builder)
        guard let item = try Attribute.parse(builder.bytes[...]).first?.nested() else {
            throw .malformed("empty expression")
        }
        self.init(item[of: NFTA_EXPR_NAME]?.string ?? "", try item[of: NFTA_EXPR_DATA]?.nested() ?? [])
    }
}

extension Attribute {
    /// For steps that are made here.
    public init(_ type: some KernelConstant, _ payload: [UInt8]) {
        self.type = type.type16
        self.payload = payload[...]
    }
}
