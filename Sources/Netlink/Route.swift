import CLinux
import Glibc

/// One of several ways of a route.
public struct NextHop: Hashable, Sendable {
    public var gateway: AddressBytes?
    public var outputIndex: Int32
    /// Share of the connections, 1 to 256.
    public var weight: UInt16
    /// `RTNH_F_*`.
    public var flags: UInt8

    public init(gateway: AddressBytes?, outputIndex: Int32, weight: UInt16 = 1, flags: UInt8 = 0) {
        self.gateway = gateway
        self.outputIndex = outputIndex
        self.weight = weight
        self.flags = flags
    }
}

/// A route (`RTM_NEWROUTE`).
public struct Route: Hashable, Sendable {
    /// Empty for a default route.
    public var destination: AddressBytes
    public var prefixLength: UInt8
    /// Of the other family than the destination's it is an IPv4 route over IPv6 (`RTA_VIA`).
    public var gateway: AddressBytes?
    /// Index of the interface it leaves by.
    public var outputIndex: Int32?
    /// Routing table (`RT_TABLE_MAIN` is 254).
    public var table: UInt32
    /// `RTN_*`: unicast, local, broadcast, …
    public var kind: UInt8
    /// Metric: the lowest is taken. 0 leaves it to the kernel, which gives IPv6 routes 1024.
    public var priority: UInt32
    /// `RTPROT_*`: who made it; 4 is the administrator.
    public var protocolNumber: UInt8
    /// `nil` lets the kernel's rule decide: link without a gateway, universe with one.
    public var scope: RouteScope?
    /// Address to send from.
    public var preferredSource: AddressBytes?
    /// `RTNH_F_*`; `RTNH_F_ONLINK` (4): the gateway is taken to be on the link, whatever the addresses say.
    public var flags: UInt32
    /// Several ways, among which connections are shared out; then there is no gateway and interface above.
    public var nextHops: [NextHop]
    /// Bytes.
    public var mtu: UInt32?
    /// Largest TCP segment to offer.
    public var segmentSize: UInt32?
    /// RFC 4191 preference of IPv6 (`ICMPV6_ROUTER_PREF_*`: 0 medium, 1 high, 3 low).
    public var preference: UInt8?
    /// `AF_INET` or `AF_INET6`; `nil` when the addresses say it.
    public var addressFamily: UInt8?

    public init(destination: AddressBytes, prefixLength: UInt8, gateway: AddressBytes?, outputIndex: Int32?) {
        self.destination = destination
        self.prefixLength = prefixLength
        self.gateway = gateway
        self.outputIndex = outputIndex
        table = RT_TABLE_MAIN.kernelValue
        kind = UInt8(truncatingIfNeeded: RTN_UNICAST.kernelValue)
        priority = 0
        protocolNumber = UInt8(truncatingIfNeeded: RTPROT_STATIC)
        flags = 0
        nextHops = []
    }

    public var isUnicast: Bool { kind == UInt8(truncatingIfNeeded: RTN_UNICAST.kernelValue) }
    public var isOnLink: Bool {
        get { flags & UInt32(RTNH_F_ONLINK) != 0 }
        set { flags = newValue ? flags | UInt32(RTNH_F_ONLINK) : flags & ~UInt32(RTNH_F_ONLINK) }
    }

    /// Reads an `RTM_NEWROUTE` or `RTM_DELROUTE` message.
    public init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        addressFamily = try cursor.native()
        prefixLength = try cursor.native()
        try cursor.skip(2)
        let tableByte: UInt8 = try cursor.native()
        protocolNumber = try cursor.native()
        scope = RouteScope(rawValue: try cursor.native())
        kind = try cursor.native()
        flags = try cursor.native()
        let attributes = try Attribute.parse(cursor.rest)
        destination = attributes[of: RTA_DST].map { Array($0.payload) } ?? []
        gateway = gatewayBytes(attributes)
        outputIndex = try attributes[of: RTA_OIF]?.native()
        table = try attributes[of: RTA_TABLE]?.native() ?? UInt32(tableByte)
        priority = try attributes[of: RTA_PRIORITY]?.native() ?? 0
        preferredSource = attributes[of: RTA_PREFSRC].map { Array($0.payload) }
        preference = try attributes[of: RTA_PREF]?.native()
        let metrics = try attributes[of: RTA_METRICS]?.nested() ?? []
        mtu = try metrics[of: RTAX_MTU]?.native()
        segmentSize = try metrics[of: RTAX_ADVMSS]?.native()
        nextHops =
            try attributes[of: RTA_MULTIPATH].map { attribute throws(NetlinkError) in
                try NextHop.parse(attribute.payload)
            } ?? []
    }

    fileprivate var familyNumber: UInt8 {
        if let addressFamily { return addressFamily }
        if !destination.isEmpty { return family(of: destination) }
        return family(of: gateway ?? nextHops.lazy.compactMap(\.gateway).first ?? [])
    }
}

extension Route {
    /// As ip-route(8) chooses it.
    fileprivate var usualScope: RouteScope {
        switch Int(kind) {
        case RTN_LOCAL, RTN_NAT: .host
        case RTN_BROADCAST, RTN_MULTICAST, RTN_ANYCAST: .link
        case RTN_UNICAST where gateway == nil && nextHops.allSatisfy({ $0.gateway == nil }): .link
        default: .universe
        }
    }
}

/// `RTA_GATEWAY`, or `RTA_VIA` without its family.
private func gatewayBytes(_ attributes: [Attribute]) -> AddressBytes? {
    if let gateway = attributes[of: RTA_GATEWAY] { return Array(gateway.payload) }
    return attributes[of: RTA_VIA].map { Array($0.payload.dropFirst(2)) }
}

extension NextHop {
    /// `struct rtnexthop`s, each with attributes.
    static func parse(_ bytes: ArraySlice<UInt8>) throws(NetlinkError) -> [NextHop] {
        var hops: [NextHop] = []
        var rest = bytes
        while !rest.isEmpty {
            var cursor = ByteCursor(rest)
            let length = Int(try cursor.native(UInt16.self))
            guard length >= headerByteCount, length <= rest.count else {
                throw .malformed("next hop of \(length) bytes in \(rest.count)")
            }
            let flags: UInt8 = try cursor.native()
            let hops256: UInt8 = try cursor.native()
            let index: Int32 = try cursor.native()
            let attributes = try Attribute.parse(cursor.rest.prefix(length - headerByteCount))
            hops.append(
                NextHop(
                    gateway: gatewayBytes(attributes), outputIndex: index, weight: UInt16(hops256) + 1, flags: flags))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return hops
    }

    private static let headerByteCount = 8
}

extension MessageBuilder {
    /// Adds or replaces a route.
    public mutating func newRoute(_ route: Route) {
        message(type: RTM_NEWROUTE.type16, flags: NLM_F_CREATE | NLM_F_REPLACE) { $0.route(route) }
    }

    /// Removes the first route that fits what is given.
    public mutating func deleteRoute(_ route: Route) {
        message(type: RTM_DELROUTE.type16) { $0.route(route) }
    }

    private mutating func route(_ route: Route) {
        let family = route.familyNumber
        appendNative(family)
        appendNative(route.prefixLength)
        appendNative(UInt16(0))
        appendNative(UInt8(route.table > 255 ? RT_TABLE_UNSPEC.kernelValue : route.table))
        appendNative(route.protocolNumber)
        appendNative((route.scope ?? route.usualScope).rawValue)
        appendNative(route.kind)
        appendNative(route.flags)
        if route.prefixLength > 0 { put(RTA_DST, route.destination) }
        if let gateway = route.gateway { putGateway(gateway, family: family) }
        put(RTA_OIF, native: route.outputIndex)
        if route.table > 255 { put(RTA_TABLE, native: route.table) }
        if route.priority != 0 { put(RTA_PRIORITY, native: route.priority) }
        if let source = route.preferredSource { put(RTA_PREFSRC, source) }
        put(RTA_PREF, native: route.preference)
        if route.mtu != nil || route.segmentSize != nil {
            nest(RTA_METRICS) {
                $0.put(RTAX_MTU, native: route.mtu)
                $0.put(RTAX_ADVMSS, native: route.segmentSize)
            }
        }
        if !route.nextHops.isEmpty {
            nest(RTA_MULTIPATH) {
                for hop in route.nextHops { $0.nextHop(hop, family: family) }
            }
        }
    }

    private mutating func putGateway(_ gateway: AddressBytes, family: UInt8) {
        let own = Netlink.family(of: gateway)
        if own == family {
            put(RTA_GATEWAY, gateway)
        } else {
            put(RTA_VIA, withUnsafeBytes(of: UInt16(own)) { Array($0) } + gateway)
        }
    }

    private mutating func nextHop(_ hop: NextHop, family: UInt8) {
        var attributes = MessageBuilder()
        if let gateway = hop.gateway { attributes.putGateway(gateway, family: family) }
        appendNative(UInt16(truncatingIfNeeded: 8 + attributes.bytes.count))
        appendNative(hop.flags)
        appendNative(UInt8(truncatingIfNeeded: min(max(hop.weight, 1), 256) - 1))
        appendNative(hop.outputIndex)
        append(attributes.bytes)
    }
}

extension NetlinkSocket {
    /// Every route of one family, of every table.
    public func routes(family: Int32) throws(NetlinkError) -> [Route] {
        let messages = try dump(type: RTM_GETROUTE.type16, operation: "list routes") {
            $0.appendNative(UInt8(truncatingIfNeeded: family))
            $0.appendNative(UInt8(0))
            $0.appendNative(UInt16(0))
            $0.appendNative(UInt64(0))
        }
        var routes: [Route] = []
        for message in messages where message.type == RTM_NEWROUTE.type16 { routes.append(try Route(message)) }
        return routes
    }
}
