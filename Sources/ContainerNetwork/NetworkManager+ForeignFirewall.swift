import CLinux
import Glibc
import InternetAddress
import Netlink
import Synchronization

/// What was found at the last look at other firewalls.
struct ForeignLook: Sendable {
    var generation: UInt32
    var paths: [ForwardPath]
    var blocks: [ForwardBlock]
}

extension NetworkManager {
    private static let attemptCountMax = 8

    /// Chains of other firewalls that block the networks last given to `applyFirewall`. Answers from memory as long as
    /// nobody has changed the rule set.
    public func foreignForwardBlocks() throws(NetworkError) -> [ForwardBlock] {
        let paths = try forwardPaths()
        guard !paths.isEmpty else { return [] }
        return try netlink { () throws(NetlinkError) in
            let generation = try netfilter.firewallGeneration()
            if let known = foreignLook.withLock({ $0 }), known.generation == generation, known.paths == paths {
                return known.blocks
            }
            let blocks = try ForeignFirewall.read(netfilter).blocks(paths)
            foreignLook.withLock { $0 = ForeignLook(generation: generation, paths: paths, blocks: blocks) }
            return blocks
        }
    }

    /// Puts rules at the top of every foreign chain that blocks our networks, which let them through, and takes them
    /// out of chains that do not block any more. Our own table goes on dropping what must not pass: accepting in one
    /// chain does not overrule another.
    ///
    /// - Returns: chains that do not let themselves be changed (a table with an owner, nft(8)), and why.
    @discardableResult
    public func openForeignFirewalls() throws(NetworkError) -> [(chain: String, error: NetlinkError)] {
        try changeForeignRules(paths: try forwardPaths())
    }

    /// Takes these rules out again, wherever they are.
    public func closeForeignFirewalls() throws(NetworkError) { try changeForeignRules(paths: []) }

    /// Every network with a way out, by every interface that a default route leaves by.
    private func forwardPaths() throws(NetworkError) -> [ForwardPath] {
        let bridges = firewall.withLock { $0?.model.input.state.bridges ?? [] }.filter { !$0.isInternal }
        guard !bridges.isEmpty else { return [] }
        let uplinks = try defaultUplinks()
        return bridges.flatMap { bridge in
            let addresses = bridge.subnets.map { $0.gateway ?? $0.range.network }
            let families = [addresses.first { $0.v4 != nil }, addresses.first { $0.v4 == nil }].compactMap { $0 }
            return uplinks.map {
                ForwardPath(network: bridge.name, bridge: bridge.bridge, uplink: $0, addresses: families)
            }
        }
    }

    private func defaultUplinks() throws(NetworkError) -> [String] {
        try netlink { () throws(NetlinkError) in
            var routes = try route.routes(family: AF_INET)
            if hasIPv6 { routes += try route.routes(family: AF_INET6) }
            let indexes = Set(
                routes.filter { $0.prefixLength == 0 && $0.isUnicast && $0.table == RT_TABLE_MAIN.kernelValue }
                    .compactMap(\.outputIndex))
            return try route.links().filter { indexes.contains($0.index) && $0.index != loopbackIndex }.map(\.name)
                .sorted()
        }
    }

    // MARK: rules in other tables

    /// In the comment of each of our rules in others' chains.
    private var foreignMark: String { "gantry: networks of \(tableName)" }

    @discardableResult
    private func changeForeignRules(
        paths: [ForwardPath]
    ) throws(NetworkError) -> [(chain: String, error: NetlinkError)] {
        var refusals: [(chain: String, error: NetlinkError)] = []
        for chain in try foreignChains() {
            do {
                try change(chain, paths: paths)
            } catch {
                guard case .refused = error else { throw .netlink(error) }
                // It may have gone meanwhile; then there is nothing to do.
                if error.code != ENOENT {
                    refusals.append(("\(chain.name) of table \(chain.family.word) \(chain.table)", error))
                }
            }
        }
        return refusals
    }

    private func foreignChains() throws(NetworkError) -> [ListedChain] {
        try netlink { () throws(NetlinkError) in
            try netfilter.listedChains().filter { $0.isForwardHook && !ForeignFirewall.isGantry($0.table) }
        }
    }

    private func change(_ chain: ListedChain, paths: [ForwardPath]) throws(NetlinkError) {
        var failure = NetlinkError.dumpInterrupted(operation: "change \(chain.name)")
        for _ in 0..<Self.attemptCountMax {
            do throws(NetlinkError) {
                return try changeOnce(chain, paths: paths)
            } catch {
                guard error.code == ERESTART else { throw error }
                failure = error
            }
        }
        throw failure
    }

    private func changeOnce(_ chain: ListedChain, paths: [ForwardPath]) throws(NetlinkError) {
        let generation = try netfilter.firewallGeneration()
        let present = try ForeignFirewall.read(netfilter)
        let (mine, others) = present.rules.partitioned { $0.comment == foreignMark && $0.isIn(chain) }
        let blocking = ForeignFirewall(chains: present.chains, rules: others).blocks(paths)
        let isBlocking = blocking.contains {
            ($0.family, $0.table, $0.chain) == (chain.family.word, chain.table, chain.name)
        }
        let wanted = isBlocking ? try chain.lettingThrough(comment: foreignMark) : []
        let first = present.rules.filter { $0.isIn(chain) }.prefix(wanted.count)
        if mine.count == wanted.count, first.allSatisfy({ $0.comment == foreignMark }) { return }
        var batch = MessageBuilder()
        for rule in mine { batch.deleteRule(rule) }
        for rule in wanted.reversed() { batch.insertRule(rule) }
        try netfilter.transact(
            batch.asBatch(generation: generation), operation: "change chain \(chain.name) of table \(chain.table)")
    }
}

extension ListedRule {
    fileprivate func isIn(_ chain: ListedChain) -> Bool {
        (family, table, self.chain) == (chain.family, chain.table, chain.name)
    }
}

extension Array {
    fileprivate func partitioned(_ isFirst: (Element) -> Bool) -> ([Element], [Element]) {
        (filter(isFirst), filter { !isFirst($0) })
    }
}

extension ListedChain {
    /// `iifname "gn-*" accept`, and `oifname "gn-*"` for answers and for connections to published ports. In iptables'
    /// own tables with iptables' match: of nftables' own, iptables would say that the table is incompatible, and
    /// refuse to work.
    fileprivate func lettingThrough(comment: String) throws(NetlinkError) -> [ListedRule] {
        let register = Register.word(0)
        let prefix = Array(bridgeNamePrefix.utf8)
        let from: [RuleExpression] = [.meta(.inputName, into: register), .equal(register, prefix)]
        let to: [RuleExpression] = [.meta(.outputName, into: register), .equal(register, prefix)]
        let zero = [UInt8](repeating: 0, count: 4)
        let isAnswer: [RuleExpression] = [
            .connectionState(into: register), .mask(register, ConntrackMatch.answerStates), .notEqual(register, zero),
        ]
        let isTranslated: [RuleExpression] = [
            .connectionStatus(into: register), .mask(register, UInt32(IPS_DST_NAT.rawValue)),
            .notEqual(register, zero),
        ]
        let accept = try ListedRule.Step(.verdict(.accept))
        let steps = { (expressions: [RuleExpression]) throws(NetlinkError) -> [ListedRule.Step] in
            var steps: [ListedRule.Step] = []
            for expression in expressions { steps.append(try ListedRule.Step(expression)) }
            return steps
        }
        let bodies: [[ListedRule.Step]] =
            isOfIPTables
            ? [try steps(from) + [accept], try steps(to) + [.iptablesAnswersOrTranslated, accept]]
            : [
                try steps(from) + [accept], try steps(to + isAnswer) + [accept],
                try steps(to + isTranslated) + [accept],
            ]
        return bodies.map { ListedRule(family: family, table: table, chain: name, steps: $0, comment: comment) }
    }
}

extension ListedRule.Step {
    /// `-m conntrack --ctstate RELATED,ESTABLISHED,DNAT`.
    fileprivate static var iptablesAnswersOrTranslated: ListedRule.Step {
        let states = ConntrackMatch(stateMask: ConntrackMatch.answerStates | ConntrackMatch.translatedState)
        return ListedRule.Step(
            "match",
            [
                Attribute(NFTA_MATCH_NAME, Array("conntrack".utf8) + [0]),
                Attribute(NFTA_MATCH_REV, [0, 0, 0, 3]),
                Attribute(NFTA_MATCH_INFO, states.bytes),
            ])
    }
}
