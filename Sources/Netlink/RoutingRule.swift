import CLinux
import Glibc

/// A rule that says which routing table a packet is looked up in (`RTM_NEWRULE`, ip-rule(8)).
public struct RoutingRule: Hashable, Sendable {
    /// `FR_ACT_*`.
    public enum Action: Hashable, Sendable {
        /// Looks in this table; the next rule is asked when it has no route.
        case table(UInt32)
        /// On to the rule with this priority.
        case goto(UInt32)
        case nothing
        case blackhole
        case unreachable
        case prohibit
        case other(UInt8)
    }

    /// `AF_INET` or `AF_INET6`.
    public var family: UInt8
    /// Rules are asked in its order. `nil` lets the kernel choose one before those that are there.
    public var priority: UInt32?
    public var action: Action
    public var source: AddressBytes?
    public var sourcePrefixLength: UInt8
    public var destination: AddressBytes?
    public var destinationPrefixLength: UInt8
    public var inputName: String?
    public var outputName: String?
    /// The packet's mark, of which `markMask` is looked at.
    public var mark: UInt32?
    public var markMask: UInt32?
    /// Routes with a prefix of this length or less do not count.
    public var suppressPrefixLength: UInt32?
    /// `RTPROT_*`: who made it.
    public var protocolNumber: UInt8?
    /// Transport protocol.
    public var transport: UInt8?
    public var sourcePorts: ClosedRange<UInt16>?
    public var destinationPorts: ClosedRange<UInt16>?
    /// Fits what the other fields do not.
    public var isInverted: Bool

    public init(family: Int32, priority: UInt32? = nil, action: Action) {
        self.family = UInt8(truncatingIfNeeded: family)
        self.priority = priority
        self.action = action
        sourcePrefixLength = 0
        destinationPrefixLength = 0
        isInverted = false
    }

    /// Reads an `RTM_NEWRULE` or `RTM_DELRULE` message.
    public init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        family = try cursor.native()
        destinationPrefixLength = try cursor.native()
        sourcePrefixLength = try cursor.native()
        try cursor.skip(1)
        let tableByte: UInt8 = try cursor.native()
        try cursor.skip(2)
        let actionNumber: UInt8 = try cursor.native()
        isInverted = try cursor.native(UInt32.self) & UInt32(FIB_RULE_INVERT) != 0
        let attributes = try Attribute.parse(cursor.rest)
        // Priority 0 is not reported.
        priority = try attributes[of: FRA_PRIORITY]?.native() ?? 0
        switch Int(actionNumber) {
        case FR_ACT_TO_TBL: action = .table(try attributes[of: FRA_TABLE]?.native() ?? UInt32(tableByte))
        case FR_ACT_GOTO: action = .goto(try attributes[of: FRA_GOTO]?.native() ?? 0)
        case FR_ACT_NOP: action = .nothing
        case FR_ACT_BLACKHOLE: action = .blackhole
        case FR_ACT_UNREACHABLE: action = .unreachable
        case FR_ACT_PROHIBIT: action = .prohibit
        default: action = .other(actionNumber)
        }
        source = attributes[of: FRA_SRC].map { Array($0.payload) }
        destination = attributes[of: FRA_DST].map { Array($0.payload) }
        inputName = attributes[of: FRA_IIFNAME]?.string
        outputName = attributes[of: FRA_OIFNAME]?.string
        mark = try attributes[of: FRA_FWMARK]?.native()
        markMask = try attributes[of: FRA_FWMASK]?.native()
        let suppressed: UInt32? = try attributes[of: FRA_SUPPRESS_PREFIXLEN]?.native()
        suppressPrefixLength = suppressed == UInt32.max ? nil : suppressed
        protocolNumber = try attributes[of: FRA_PROTOCOL]?.native()
        transport = try attributes[of: FRA_IP_PROTO]?.native()
        sourcePorts = try Self.ports(attributes[of: FRA_SPORT_RANGE])
        destinationPorts = try Self.ports(attributes[of: FRA_DPORT_RANGE])
    }

    /// `struct fib_rule_port_range`.
    private static func ports(_ attribute: Attribute?) throws(NetlinkError) -> ClosedRange<UInt16>? {
        guard let attribute else { return nil }
        var cursor = ByteCursor(attribute.payload)
        let first: UInt16 = try cursor.native()
        let last: UInt16 = try cursor.native()
        guard first <= last else { throw .malformed("ports \(first) to \(last)") }
        return first...last
    }

    fileprivate var actionNumber: UInt8 {
        switch action {
        case .table: UInt8(FR_ACT_TO_TBL)
        case .goto: UInt8(FR_ACT_GOTO)
        case .nothing: UInt8(FR_ACT_NOP)
        case .blackhole: UInt8(FR_ACT_BLACKHOLE)
        case .unreachable: UInt8(FR_ACT_UNREACHABLE)
        case .prohibit: UInt8(FR_ACT_PROHIBIT)
        case .other(let number): number
        }
    }
}

extension MessageBuilder {
    /// Adds a rule; fails with EEXIST when there is the same.
    public mutating func newRule(_ rule: RoutingRule) {
        message(type: RTM_NEWRULE.type16, flags: NLM_F_CREATE | NLM_F_EXCL) { $0.rule(rule) }
    }

    /// Removes the first rule that fits; fails with ENOENT when there is none.
    public mutating func deleteRule(_ rule: RoutingRule) {
        message(type: RTM_DELRULE.type16) { $0.rule(rule) }
    }

    private mutating func rule(_ rule: RoutingRule) {
        let table: UInt32 = if case .table(let table) = rule.action { table } else { 0 }
        appendNative(rule.family)
        appendNative(rule.destinationPrefixLength)
        appendNative(rule.sourcePrefixLength)
        appendNative(UInt8(0))
        appendNative(UInt8(table > 255 ? 0 : table))
        appendNative(UInt16(0))
        appendNative(rule.actionNumber)
        appendNative(rule.isInverted ? UInt32(FIB_RULE_INVERT) : 0)
        put(FRA_PRIORITY, native: rule.priority)
        if table != 0 { put(FRA_TABLE, native: table) }
        if case .goto(let priority) = rule.action { put(FRA_GOTO, native: priority) }
        if let source = rule.source { put(FRA_SRC, source) }
        if let destination = rule.destination { put(FRA_DST, destination) }
        if let name = rule.inputName { put(FRA_IIFNAME, string: name) }
        if let name = rule.outputName { put(FRA_OIFNAME, string: name) }
        put(FRA_FWMARK, native: rule.mark)
        put(FRA_FWMASK, native: rule.markMask)
        put(FRA_SUPPRESS_PREFIXLEN, native: rule.suppressPrefixLength)
        put(FRA_PROTOCOL, native: rule.protocolNumber)
        put(FRA_IP_PROTO, native: rule.transport)
        putPorts(FRA_SPORT_RANGE, rule.sourcePorts)
        putPorts(FRA_DPORT_RANGE, rule.destinationPorts)
    }

    private mutating func putPorts(_ type: Int, _ ports: ClosedRange<UInt16>?) {
        guard let ports else { return }
        put(type, [ports.lowerBound, ports.upperBound].flatMap { value in withUnsafeBytes(of: value) { Array($0) } })
    }
}

extension NetlinkSocket {
    /// Every rule of one family (`AF_INET`, `AF_INET6`), in the order in which they are asked.
    public func rules(family: Int32) throws(NetlinkError) -> [RoutingRule] {
        let messages = try dump(type: RTM_GETRULE.type16, operation: "list rules") {
            $0.appendNative(UInt8(truncatingIfNeeded: family))
            $0.appendNative(UInt8(0))
            $0.appendNative(UInt16(0))
            $0.appendNative(UInt64(0))
        }
        var rules: [RoutingRule] = []
        for message in messages where message.type == RTM_NEWRULE.type16 { rules.append(try RoutingRule(message)) }
        return rules
    }
}
