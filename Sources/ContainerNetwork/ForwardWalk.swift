import CLinux
import Glibc
import InternetAddress
import Netlink

/// The first packet of a connection that the host is to forward.
struct ForwardedPacket: Equatable, Sendable {
    /// Names of the interfaces it comes and goes by.
    var input: String
    var output: String
    var source: IPAddress?
    /// Its destination was a published port.
    var isTranslated = false
    var isIPv6 = false
}

/// Runs a packet through somebody's rules, as far as they can be understood: what is not (a module of iptables, a set)
/// counts as not matching. So a chain is found to drop a packet when it drops what it has no special rule for.
struct ForwardWalk {
    fileprivate struct ChainKey: Hashable {
        var family: NetfilterFamily
        var table: String
        var name: String
    }

    private enum Outcome: Equatable {
        case accept, drop, fallThrough
    }

    /// `NFT_JUMP_STACK_SIZE` of the kernel.
    private static let depthMax = 16
    /// Rules looked at for one packet.
    private static let ruleCountMax = 1_000_000

    private let chains: [ListedChain]
    private let rules: [ChainKey: [ListedRule]]

    init(chains: [ListedChain], rules: [ListedRule]) {
        self.chains = chains
        self.rules = Dictionary(grouping: rules) {
            ChainKey(family: $0.family, table: $0.table, name: $0.chain)
        }
    }

    /// The base chains at the forward hook that drop the packet, in the order in which they are run.
    func chainsThatDrop(_ packet: ForwardedPacket) -> [ListedChain] {
        let family: NetfilterFamily = packet.isIPv6 ? .ipv6 : .ipv4
        return chains.filter { chain in
            guard let hook = chain.hook, hook.number == UInt32(NF_INET_FORWARD.rawValue) else { return false }
            guard chain.family == .inet || chain.family == family else { return false }
            var countLeft = Self.ruleCountMax
            switch run(key(of: chain), packet, depth: 0, &countLeft) {
            case .accept: return false
            case .drop: return true
            case .fallThrough: return hook.dropsByPolicy
            }
        }.sorted { ($0.hook?.priority ?? 0) < ($1.hook?.priority ?? 0) }
    }

    private func key(of chain: ListedChain) -> ChainKey {
        ChainKey(family: chain.family, table: chain.table, name: chain.name)
    }

    private func run(_ key: ChainKey, _ packet: ForwardedPacket, depth: Int, _ countLeft: inout Int) -> Outcome {
        guard depth < Self.depthMax else { return .fallThrough }
        for rule in rules[key] ?? [] {
            countLeft -= 1
            guard countLeft > 0 else { return .accept }
            switch RuleRun(packet).verdict(of: rule) {
            // A program that decides may let it through.
            case nil, .continue?, .queue?: continue
            case .accept?: return .accept
            case .drop?: return .drop
            case .return?: return .fallThrough
            case .jump(let name)?:
                let inner = run(key.with(name), packet, depth: depth + 1, &countLeft)
                if inner != .fallThrough { return inner }
            case .goto(let name)?: return run(key.with(name), packet, depth: depth + 1, &countLeft)
            }
        }
        return .fallThrough
    }
}

extension ForwardWalk.ChainKey {
    fileprivate func with(_ name: String) -> Self { Self(family: family, table: table, name: name) }
}

/// One rule's registers while a packet runs through it. A byte that is not known is `nil`.
struct RuleRun {
    private enum Match {
        case yes, no, unknown
    }

    /// `NF_CT_STATE_BIT(IP_CT_NEW)`, the same as iptables' `XT_CONNTRACK_STATE_BIT`.
    private static let stateNew: UInt32 = 8
    private static let registerByteCount = 64

    private let packet: ForwardedPacket
    private var registers = [UInt8?](repeating: nil, count: registerByteCount)

    init(_ packet: ForwardedPacket) { self.packet = packet }

    /// `nil` when the rule does not decide about the packet, or cannot be understood.
    consuming func verdict(of rule: ListedRule) -> Verdict? {
        for step in rule.steps {
            if step.name == "immediate", let verdict = Self.verdict(step) { return verdict }
            if step.name == "reject" || step.name == "target" && step.string(NFTA_TARGET_NAME) == "REJECT" {
                return .drop
            }
            guard match(step) == .yes else { return nil }
        }
        return nil
    }

    private static func verdict(_ step: ListedRule.Step) -> Verdict? {
        // What does not decode is no verdict: the packet goes on.
        let data = try? step.attributes[of: NFTA_IMMEDIATE_DATA]?.nested()[of: NFTA_DATA_VERDICT]?.nested()
        // As above.
        return data.flatMap { try? Verdict($0) }
    }

    private mutating func match(_ step: ListedRule.Step) -> Match {
        switch step.name {
        case "counter", "log", "objref", "last", "notrack": return .yes
        case "target":
            // Those that decide are immediate verdicts or REJECT; the others mark or log.
            return .yes
        case "match": return matchOfIPTables(step)
        case "meta", "ct", "payload", "immediate": return load(step)
        case "bitwise": return mask(step)
        case "cmp": return compare(step)
        default: return .unknown
        }
    }

    // MARK: loading

    private mutating func load(_ step: ListedRule.Step) -> Match {
        // Each of them has its destination in an attribute of its own number.
        switch step.name {
        case "meta":
            guard let register = step.number(NFTA_META_DREG) else { return .yes }
            set(register, metadata(step.number(NFTA_META_KEY)))
        case "ct":
            guard let register = step.number(NFTA_CT_DREG) else { return .yes }
            set(register, connection(step.number(NFTA_CT_KEY)))
        case "payload":
            guard let register = step.number(NFTA_PAYLOAD_DREG) else { return .yes }
            set(register, payload(step))
        default: step.number(NFTA_IMMEDIATE_DREG).map { set($0, nil) }
        }
        return .yes
    }

    private func metadata(_ key: UInt32?) -> [UInt8]? {
        switch key {
        case NFT_META_IIFNAME.rawValue: name(packet.input)
        case NFT_META_OIFNAME.rawValue: name(packet.output)
        case NFT_META_NFPROTO.rawValue:
            [(packet.isIPv6 ? NetfilterFamily.ipv6 : NetfilterFamily.ipv4).rawValue]
        default: nil
        }
    }

    private func connection(_ key: UInt32?) -> [UInt8]? {
        switch key {
        case NFT_CT_STATE.rawValue: native(Self.stateNew)
        case NFT_CT_STATUS.rawValue: native(packet.isTranslated ? UInt32(IPS_DST_NAT.rawValue) : 0)
        default: nil
        }
    }

    private func payload(_ step: ListedRule.Step) -> [UInt8]? {
        let sourceOffset: UInt32 = packet.isIPv6 ? 8 : 12
        guard step.number(NFTA_PAYLOAD_BASE) == NFT_PAYLOAD_NETWORK_HEADER.rawValue,
            step.number(NFTA_PAYLOAD_OFFSET) == sourceOffset, let count = step.number(NFTA_PAYLOAD_LEN)
        else { return nil }
        return packet.source.map { Array($0.bytes.prefix(Int(count))) }
    }

    private func name(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8.prefix(Int(IFNAMSIZ) - 1))
        return bytes + [UInt8](repeating: 0, count: Int(IFNAMSIZ) - bytes.count)
    }

    private func native(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    /// Registers 1 to 4 have sixteen bytes, 8 and on four: two names for the same bytes.
    private func offset(_ register: UInt32) -> Int {
        register < NFT_REG32_00.rawValue ? (Int(register) - 1) * 16 : Int(register - NFT_REG32_00.rawValue) * 4
    }

    private mutating func set(_ register: UInt32, _ bytes: [UInt8]?) {
        let start = offset(register)
        // Of unknown length: whatever is behind is unknown too.
        for index in 0..<(bytes?.count ?? Self.registerByteCount) where registers.indices.contains(start + index) {
            registers[start + index] = bytes?[index]
        }
    }

    private func get(_ register: UInt32, _ index: Int) -> UInt8? {
        let place = offset(register) + index
        return registers.indices.contains(place) ? registers[place] : nil
    }

    // MARK: comparing

    private mutating func mask(_ step: ListedRule.Step) -> Match {
        guard let source = step.number(NFTA_BITWISE_SREG), let destination = step.number(NFTA_BITWISE_DREG),
            let mask = step.bytes(NFTA_BITWISE_MASK), let flip = step.bytes(NFTA_BITWISE_XOR), mask.count == flip.count
        else { return .unknown }
        let start = offset(destination)
        let result = mask.indices.map { index in
            mask[index] == 0 ? flip[index] : get(source, index).map { ($0 & mask[index]) ^ flip[index] }
        }
        for (index, byte) in result.enumerated() where registers.indices.contains(start + index) {
            registers[start + index] = byte
        }
        return .yes
    }

    private func compare(_ step: ListedRule.Step) -> Match {
        guard let register = step.number(NFTA_CMP_SREG), let wanted = step.bytes(NFTA_CMP_DATA),
            let operation = step.number(NFTA_CMP_OP)
        else { return .unknown }
        let present = wanted.indices.map { get(register, $0) }
        let differs = zip(present, wanted).contains { known, byte in known.map { $0 != byte } ?? false }
        let isKnown = present.allSatisfy { $0 != nil }
        switch operation {
        case NFT_CMP_EQ.rawValue: return differs ? .no : isKnown ? .yes : .unknown
        case NFT_CMP_NEQ.rawValue: return differs ? .yes : isKnown ? .no : .unknown
        default: return .unknown
        }
    }

    /// `struct xt_conntrack_mtinfo3`: only a test of the state alone is understood; xt_comment says nothing.
    private func matchOfIPTables(_ step: ListedRule.Step) -> Match {
        switch step.string(NFTA_MATCH_NAME) {
        case "comment": return .yes
        case "conntrack":
            guard let info = step.attributes[of: NFTA_MATCH_INFO]?.payload,
                let test = ConntrackMatch(Array(info)), test.isStateAlone
            else { return .unknown }
            let state = Self.stateNew | (packet.isTranslated ? ConntrackMatch.translatedState : 0)
            return (UInt32(test.stateMask) & state != 0) != test.isInverted ? .yes : .no
        default: return .unknown
        }
    }
}

/// What Gantry reads and writes of `struct xt_conntrack_mtinfo3` (`-m conntrack --ctstate`), linux/netfilter/
/// xt_conntrack.h.
struct ConntrackMatch: Equatable {
    /// With XT_ALIGN.
    static let byteCount = 168
    private static let flagsOffset = 146
    /// `XT_CONNTRACK_STATE`, and `XT_CONNTRACK_STATE_ALIAS`, which only says how it was written.
    private static let stateFlag: UInt16 = 1
    private static let aliasFlag: UInt16 = 1 << 13
    /// `XT_CONNTRACK_STATE_BIT` of established and related, `XT_CONNTRACK_STATE_DNAT`.
    static let answerStates: UInt32 = 2 | 4
    static let translatedState: UInt32 = 1 << 7

    var stateMask: UInt16
    var isInverted = false
    var isStateAlone = true

    init(stateMask: UInt32) { self.stateMask = UInt16(truncatingIfNeeded: stateMask) }

    /// `nil` for bytes of another revision's length.
    init?(_ bytes: [UInt8]) {
        let field = { (index: Int) -> UInt16 in
            let place = Self.flagsOffset + 2 * index
            return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: UInt16.self) }
        }
        guard bytes.count >= Self.flagsOffset + 8 else { return nil }
        isStateAlone = field(0) & ~Self.aliasFlag == Self.stateFlag
        isInverted = field(1) & Self.stateFlag != 0
        stateMask = field(2)
    }

    var bytes: [UInt8] {
        var all = [UInt8](repeating: 0, count: Self.byteCount)
        for (index, value) in [Self.stateFlag, 0, stateMask].enumerated() {
            withUnsafeBytes(of: value) { raw in
                for (place, byte) in raw.enumerated() { all[Self.flagsOffset + 2 * index + place] = byte }
            }
        }
        return all
    }
}

extension ListedRule.Step {
    /// A number in network byte order; `nil` when it is not there or no number.
    func number(_ type: some KernelConstant) -> UInt32? {
        // A module of the kernel that says it otherwise is one we do not understand.
        try? attributes[of: type]?.big()
    }

    /// The bytes in `NFTA_DATA_VALUE` of an attribute.
    func bytes(_ type: some KernelConstant) -> [UInt8]? {
        // As above.
        (try? attributes[of: type]?.nested()[of: NFTA_DATA_VALUE]).map { Array($0.payload) }
    }

    func string(_ type: some KernelConstant) -> String? { attributes[of: type]?.string }
}
