import CLinux
import Glibc

/// Options of a bridge; what is `nil` is left as it is, or was not reported. Times are in hundredths of a second.
/// `IFLA_BR_*`, ip-link(8).
public struct BridgeOptions: Hashable, Sendable {
    public var forwardDelay: UInt32?
    public var helloTime: UInt32?
    public var maxAge: UInt32?
    /// Life of a learned address.
    public var ageing: UInt32?
    public var usesSpanningTree: Bool?
    public var priority: UInt16?
    public var filtersVLANs: Bool?
    /// VLAN of ports that have none of their own; 0 for none.
    public var defaultVLAN: UInt16?
    public var groupForwardMask: UInt16?
    public var snoopsMulticast: Bool?
    public var queriesMulticast: Bool?
    /// Bridged frames pass the IPv4 and IPv6 hooks of netfilter.
    public var callsIPTables: Bool?
    public var callsIP6Tables: Bool?

    public init() {}

    init(_ attributes: [Attribute]) throws(NetlinkError) {
        forwardDelay = try attributes[of: IFLA_BR_FORWARD_DELAY]?.native()
        helloTime = try attributes[of: IFLA_BR_HELLO_TIME]?.native()
        maxAge = try attributes[of: IFLA_BR_MAX_AGE]?.native()
        ageing = try attributes[of: IFLA_BR_AGEING_TIME]?.native()
        usesSpanningTree = try attributes[of: IFLA_BR_STP_STATE]?.native(UInt32.self).isTrue
        priority = try attributes[of: IFLA_BR_PRIORITY]?.native()
        filtersVLANs = try attributes[of: IFLA_BR_VLAN_FILTERING]?.native(UInt8.self).isTrue
        defaultVLAN = try attributes[of: IFLA_BR_VLAN_DEFAULT_PVID]?.native()
        groupForwardMask = try attributes[of: IFLA_BR_GROUP_FWD_MASK]?.native()
        snoopsMulticast = try attributes[of: IFLA_BR_MCAST_SNOOPING]?.native(UInt8.self).isTrue
        queriesMulticast = try attributes[of: IFLA_BR_MCAST_QUERIER]?.native(UInt8.self).isTrue
        callsIPTables = try attributes[of: IFLA_BR_NF_CALL_IPTABLES]?.native(UInt8.self).isTrue
        callsIP6Tables = try attributes[of: IFLA_BR_NF_CALL_IP6TABLES]?.native(UInt8.self).isTrue
    }

    func encode(into builder: inout MessageBuilder) {
        builder.put(IFLA_BR_FORWARD_DELAY, native: forwardDelay)
        builder.put(IFLA_BR_HELLO_TIME, native: helloTime)
        builder.put(IFLA_BR_MAX_AGE, native: maxAge)
        builder.put(IFLA_BR_AGEING_TIME, native: ageing)
        builder.put(IFLA_BR_STP_STATE, native: usesSpanningTree.map { UInt32($0 ? 1 : 0) })
        builder.put(IFLA_BR_PRIORITY, native: priority)
        builder.put(IFLA_BR_VLAN_FILTERING, native: filtersVLANs?.byte)
        builder.put(IFLA_BR_VLAN_DEFAULT_PVID, native: defaultVLAN)
        builder.put(IFLA_BR_GROUP_FWD_MASK, native: groupForwardMask)
        builder.put(IFLA_BR_MCAST_SNOOPING, native: snoopsMulticast?.byte)
        builder.put(IFLA_BR_MCAST_QUERIER, native: queriesMulticast?.byte)
        builder.put(IFLA_BR_NF_CALL_IPTABLES, native: callsIPTables?.byte)
        builder.put(IFLA_BR_NF_CALL_IP6TABLES, native: callsIP6Tables?.byte)
    }
}

/// Options of a bridge's port; what is `nil` is left as it is, or was not reported. `IFLA_BRPORT_*`, bridge(8).
public struct BridgePort: Hashable, Sendable {
    /// Spanning tree state, 0 disabled to 3 forwarding (4 blocking); reported only.
    public var state: UInt8?
    /// A frame may leave by the port it came from.
    public var isHairpin: Bool?
    /// No frames between two isolated ports.
    public var isIsolated: Bool?
    public var learns: Bool?
    /// Frames to unknown addresses leave by this port.
    public var floods: Bool?
    public var floodsMulticast: Bool?
    public var floodsBroadcast: Bool?
    /// The bridge answers ARP and neighbour solicitations for what is behind this port.
    public var suppressesNeighbours: Bool?
    public var isBPDUGuard: Bool?
    public var isRootBlock: Bool?
    public var cost: UInt32?
    public var priority: UInt16?

    public init() {}

    init(_ attributes: [Attribute]) throws(NetlinkError) {
        state = try attributes[of: IFLA_BRPORT_STATE]?.native()
        isHairpin = try attributes[of: IFLA_BRPORT_MODE]?.native(UInt8.self).isTrue
        isIsolated = try attributes[of: IFLA_BRPORT_ISOLATED]?.native(UInt8.self).isTrue
        learns = try attributes[of: IFLA_BRPORT_LEARNING]?.native(UInt8.self).isTrue
        floods = try attributes[of: IFLA_BRPORT_UNICAST_FLOOD]?.native(UInt8.self).isTrue
        floodsMulticast = try attributes[of: IFLA_BRPORT_MCAST_FLOOD]?.native(UInt8.self).isTrue
        floodsBroadcast = try attributes[of: IFLA_BRPORT_BCAST_FLOOD]?.native(UInt8.self).isTrue
        suppressesNeighbours = try attributes[of: IFLA_BRPORT_NEIGH_SUPPRESS]?.native(UInt8.self).isTrue
        isBPDUGuard = try attributes[of: IFLA_BRPORT_GUARD]?.native(UInt8.self).isTrue
        isRootBlock = try attributes[of: IFLA_BRPORT_PROTECT]?.native(UInt8.self).isTrue
        cost = try attributes[of: IFLA_BRPORT_COST]?.native()
        priority = try attributes[of: IFLA_BRPORT_PRIORITY]?.native()
    }

    func encode(into builder: inout MessageBuilder) {
        builder.put(IFLA_BRPORT_MODE, native: isHairpin?.byte)
        builder.put(IFLA_BRPORT_ISOLATED, native: isIsolated?.byte)
        builder.put(IFLA_BRPORT_LEARNING, native: learns?.byte)
        builder.put(IFLA_BRPORT_UNICAST_FLOOD, native: floods?.byte)
        builder.put(IFLA_BRPORT_MCAST_FLOOD, native: floodsMulticast?.byte)
        builder.put(IFLA_BRPORT_BCAST_FLOOD, native: floodsBroadcast?.byte)
        builder.put(IFLA_BRPORT_NEIGH_SUPPRESS, native: suppressesNeighbours?.byte)
        builder.put(IFLA_BRPORT_GUARD, native: isBPDUGuard?.byte)
        builder.put(IFLA_BRPORT_PROTECT, native: isRootBlock?.byte)
        builder.put(IFLA_BRPORT_COST, native: cost)
        builder.put(IFLA_BRPORT_PRIORITY, native: priority)
    }
}

/// What macvlan interfaces of one parent see of each other (`enum macvlan_mode`).
public enum MacvlanMode: UInt32, Sendable, CaseIterable {
    case `private` = 1
    case vepa = 2
    case bridge = 4
    case passthru = 8
    case source = 16
}

/// `IPVLAN_MODE_*`.
public enum IPvlanMode: UInt16, Sendable, CaseIterable {
    case l2 = 0
    case l3 = 1
    case l3s = 2
}

/// `IPVLAN_F_*`: `bridge` is none of them.
public enum IPvlanFlag: UInt16, Sendable, CaseIterable {
    case bridge = 0
    case `private` = 1
    case vepa = 2
}

/// Options of a VXLAN interface; what is `nil` is the kernel's choice, or was not reported. `IFLA_VXLAN_*`.
public struct VXLANOptions: Hashable, Sendable {
    /// VNI, 24 bits.
    public var id: UInt32?
    /// Multicast group or remote end: four or sixteen bytes.
    public var group: AddressBytes?
    /// Source of the tunnel's packets.
    public var local: AddressBytes?
    /// Index of the interface below.
    public var link: Int32?
    /// UDP port.
    public var port: UInt16?
    public var ttl: UInt8?
    public var learns: Bool?
    /// Seconds.
    public var ageing: UInt32?
    /// Each packet says its tunnel itself.
    public var isExternal: Bool?

    public init(id: UInt32? = nil) { self.id = id }

    init(_ attributes: [Attribute]) throws(NetlinkError) {
        id = try attributes[of: IFLA_VXLAN_ID]?.native()
        group = (attributes[of: IFLA_VXLAN_GROUP] ?? attributes[of: IFLA_VXLAN_GROUP6]).map { Array($0.payload) }
        local = (attributes[of: IFLA_VXLAN_LOCAL] ?? attributes[of: IFLA_VXLAN_LOCAL6]).map { Array($0.payload) }
        link = try attributes[of: IFLA_VXLAN_LINK]?.native()
        port = try attributes[of: IFLA_VXLAN_PORT]?.big()
        ttl = try attributes[of: IFLA_VXLAN_TTL]?.native()
        learns = try attributes[of: IFLA_VXLAN_LEARNING]?.native(UInt8.self).isTrue
        ageing = try attributes[of: IFLA_VXLAN_AGEING]?.native()
        isExternal = try attributes[of: IFLA_VXLAN_COLLECT_METADATA]?.native(UInt8.self).isTrue
    }

    func encode(into builder: inout MessageBuilder) {
        builder.put(IFLA_VXLAN_ID, native: id)
        if let group { builder.put(group.count == 16 ? IFLA_VXLAN_GROUP6 : IFLA_VXLAN_GROUP, group) }
        if let local { builder.put(local.count == 16 ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, local) }
        builder.put(IFLA_VXLAN_LINK, native: link)
        if let port { builder.put(IFLA_VXLAN_PORT, big: port) }
        builder.put(IFLA_VXLAN_TTL, native: ttl)
        builder.put(IFLA_VXLAN_LEARNING, native: learns?.byte)
        builder.put(IFLA_VXLAN_AGEING, native: ageing)
        builder.put(IFLA_VXLAN_COLLECT_METADATA, native: isExternal?.byte)
    }
}

/// What a virtual interface's kind has of its own (`IFLA_INFO_DATA`).
public enum LinkDetails: Hashable, Sendable {
    case bridge(BridgeOptions)
    /// Index of the parent is the link's `parentIndex`. Flags are `MACVLAN_FLAG_*`.
    case macvlan(MacvlanMode, flags: UInt16)
    case ipvlan(IPvlanMode, IPvlanFlag)
    case vxlan(VXLANOptions)
    /// Protocol 0x8100 is 802.1Q, 0x88a8 is 802.1ad.
    case vlan(id: UInt16, protocol: UInt16)

    /// `nil` for kinds without details, or whose details this room has no words for.
    init?(kind: String, _ attributes: [Attribute]) throws(NetlinkError) {
        switch kind {
        case "bridge": self = .bridge(try BridgeOptions(attributes))
        case "macvlan", "macvtap":
            guard let number = try attributes[of: IFLA_MACVLAN_MODE]?.native(UInt32.self),
                let mode = MacvlanMode(rawValue: number)
            else { return nil }
            self = .macvlan(mode, flags: try attributes[of: IFLA_MACVLAN_FLAGS]?.native() ?? 0)
        case "ipvlan", "ipvtap":
            guard let number = try attributes[of: IFLA_IPVLAN_MODE]?.native(UInt16.self),
                let mode = IPvlanMode(rawValue: number),
                let flag = IPvlanFlag(rawValue: try attributes[of: IFLA_IPVLAN_FLAGS]?.native() ?? 0)
            else { return nil }
            self = .ipvlan(mode, flag)
        case "vxlan": self = .vxlan(try VXLANOptions(attributes))
        case "vlan":
            guard let id = try attributes[of: IFLA_VLAN_ID]?.native(UInt16.self) else { return nil }
            self = .vlan(id: id, protocol: try attributes[of: IFLA_VLAN_PROTOCOL]?.big() ?? 0x8100)
        default: return nil
        }
    }

    func encode(into builder: inout MessageBuilder) {
        switch self {
        case .bridge(let options): options.encode(into: &builder)
        case .macvlan(let mode, let flags):
            builder.put(IFLA_MACVLAN_MODE, native: mode.rawValue)
            if flags != 0 { builder.put(IFLA_MACVLAN_FLAGS, native: flags) }
        case .ipvlan(let mode, let flag):
            builder.put(IFLA_IPVLAN_MODE, native: mode.rawValue)
            builder.put(IFLA_IPVLAN_FLAGS, native: flag.rawValue)
        case .vxlan(let options): options.encode(into: &builder)
        case .vlan(let id, let protocolNumber):
            builder.put(IFLA_VLAN_ID, native: id)
            builder.put(IFLA_VLAN_PROTOCOL, big: protocolNumber)
        }
    }
}

extension FixedWidthInteger {
    fileprivate var isTrue: Bool { self != 0 }
}

extension Bool {
    var byte: UInt8 { self ? 1 : 0 }
}
