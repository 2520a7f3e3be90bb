import CLinux
import Glibc

/// One network interface as the kernel reports it (`RTM_NEWLINK`, rtnetlink(7)).
public struct Link: Hashable, Sendable {
    public var index: Int32
    public var name: String
    /// `IFF_*`.
    public var flags: UInt32
    /// `ARPHRD_*`: 1 Ethernet, 772 loopback.
    public var hardwareType: UInt16
    /// Bytes.
    public var mtu: UInt32
    /// Bytes; 0 or `nil` where there is no bound.
    public var minimumMTU: UInt32?
    public var maximumMTU: UInt32?
    /// Six bytes for Ethernet.
    public var address: [UInt8]
    /// Index of the bridge it is a port of.
    public var master: Int32?
    /// Index of a veth's other end, in the namespace of that end.
    public var peerIndex: Int32?
    /// Number that this namespace has for the one of the veth's peer or of the parent; `nil` when it is this one.
    public var linkNamespaceID: Int32?
    /// Kind of a virtual interface: `bridge`, `veth`, …
    public var kind: String?
    /// What the kind has of its own.
    public var details: LinkDetails?
    /// Its options as a bridge's port.
    public var port: BridgePort?
    /// Free text (`IFLA_IFALIAS`).
    public var alias: String?
    public var operationalState: OperationalState
    /// How many want it promiscuous.
    public var promiscuity: UInt32
    public var transmitQueueLength: UInt32?
    /// ip-link(8)'s group.
    public var group: UInt32?
    /// Reported by dumps with statistics and by events.
    public var statistics: LinkStatistics?

    /// RFC 2863 (`IF_OPER_*`).
    public enum OperationalState: UInt8, Sendable, CaseIterable {
        case unknown, notPresent, down, lowerLayerDown, testing, dormant, up
    }

    public var isUp: Bool { flags & UInt32(IFF_UP) != 0 }

    /// Hairpin mode of a bridge port.
    public var isHairpin: Bool { port?.isHairpin == true }
    /// Isolation of a bridge port.
    public var isIsolated: Bool { port?.isIsolated == true }
    /// Index of the interface below a macvlan, ipvlan, vlan or tunnel (the same attribute as a veth's peer).
    public var parentIndex: Int32? { peerIndex }

    /// Reads an `RTM_NEWLINK` or `RTM_DELLINK` message.
    public init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        try cursor.skip(2)
        hardwareType = try cursor.native()
        index = try cursor.native()
        flags = try cursor.native()
        try cursor.skip(4)
        let attributes = try Attribute.parse(cursor.rest)
        name = attributes[of: IFLA_IFNAME]?.string ?? ""
        mtu = try attributes[of: IFLA_MTU]?.native() ?? 0
        minimumMTU = try attributes[of: IFLA_MIN_MTU]?.native()
        maximumMTU = try attributes[of: IFLA_MAX_MTU]?.native()
        address = attributes[of: IFLA_ADDRESS].map { Array($0.payload) } ?? []
        master = try attributes[of: IFLA_MASTER]?.native()
        peerIndex = try attributes[of: IFLA_LINK]?.native()
        linkNamespaceID = try attributes[of: IFLA_LINK_NETNSID]?.native()
        alias = attributes[of: IFLA_IFALIAS]?.string
        operationalState =
            OperationalState(rawValue: try attributes[of: IFLA_OPERSTATE]?.native() ?? 0) ?? .unknown
        promiscuity = try attributes[of: IFLA_PROMISCUITY]?.native() ?? 0
        transmitQueueLength = try attributes[of: IFLA_TXQLEN]?.native()
        group = try attributes[of: IFLA_GROUP]?.native()
        statistics = try attributes[of: IFLA_STATS64].map { attribute throws(NetlinkError) in
            try LinkStatistics(attribute.payload)
        }
        let information = try attributes[of: IFLA_LINKINFO]?.nested() ?? []
        kind = information[of: IFLA_INFO_KIND]?.string
        if let kind, let data = information[of: IFLA_INFO_DATA], LinkDetails.kinds.contains(kind) {
            details = try LinkDetails(kind: kind, data.nested())
        }
        if information[of: IFLA_INFO_SLAVE_KIND]?.string == "bridge" {
            port = try BridgePort(information[of: IFLA_INFO_SLAVE_DATA]?.nested() ?? [])
        }
    }
}

extension LinkDetails {
    /// Kinds whose data are read; those of others need not even be attributes.
    static let kinds: Set<String> = ["bridge", "macvlan", "macvtap", "ipvlan", "ipvtap", "vxlan", "vlan"]
}

/// What went through an interface (`struct rtnl_link_stats64`).
public struct LinkStatistics: Hashable, Sendable {
    public var receivedPackets: UInt64
    public var sentPackets: UInt64
    public var receivedByteCount: UInt64
    public var sentByteCount: UInt64
    public var receiveErrors: UInt64
    public var sendErrors: UInt64
    public var receiveDrops: UInt64
    public var sendDrops: UInt64
    public var multicastPackets: UInt64
    public var collisions: UInt64

    /// The structure grows with the kernel: what follows the first ten numbers is not read.
    init(_ bytes: ArraySlice<UInt8>) throws(NetlinkError) {
        var cursor = ByteCursor(bytes)
        receivedPackets = try cursor.native()
        sentPackets = try cursor.native()
        receivedByteCount = try cursor.native()
        sentByteCount = try cursor.native()
        receiveErrors = try cursor.native()
        sendErrors = try cursor.native()
        receiveDrops = try cursor.native()
        sendDrops = try cursor.native()
        multicastPackets = try cursor.native()
        collisions = try cursor.native()
    }
}

extension NetlinkSocket {
    /// Every interface of the socket's namespace. Statistics cost the kernel and us most of the time.
    public func links(withStatistics: Bool = false) throws(NetlinkError) -> [Link] {
        let messages = try dump(type: RTM_GETLINK.type16, operation: "list links") {
            $0.linkHeader()
            if !withStatistics { $0.put(IFLA_EXT_MASK, native: UInt32(RTEXT_FILTER_SKIP_STATS)) }
        }
        var links: [Link] = []
        for message in messages where message.type == RTM_NEWLINK.type16 { links.append(try Link(message)) }
        return links
    }

    /// One interface, `nil` when it is not there.
    public func link(_ reference: LinkReference) throws(NetlinkError) -> Link? {
        do {
            let answer = try query(type: RTM_GETLINK.type16, operation: "look up link") {
                switch reference {
                case .index(let index): $0.linkHeader(index: index)
                case .name(let name):
                    $0.linkHeader()
                    $0.put(IFLA_IFNAME, string: name)
                }
                $0.put(IFLA_EXT_MASK, native: UInt32(RTEXT_FILTER_SKIP_STATS))
            }
            return try Link(answer)
        } catch {
            if error.code == ENODEV { return nil }
            throw error
        }
    }
}
