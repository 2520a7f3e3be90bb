import CLinux
import Glibc

/// An interface address or route destination: an IPv4 or IPv6 address in network byte order (4 or 16 bytes).
public typealias AddressBytes = [UInt8]

private func family(of address: AddressBytes) -> UInt8 { UInt8(address.count == 16 ? AF_INET6 : AF_INET) }

/// An address of an interface (`RTM_NEWADDR`).
public struct InterfaceAddress: Hashable, Sendable {
    public var index: Int32
    public var address: AddressBytes
    public var prefixLength: UInt8

    public init(index: Int32, address: AddressBytes, prefixLength: UInt8) {
        self.index = index
        self.address = address
        self.prefixLength = prefixLength
    }

    /// Reads a message that tells of one.
    public init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        try cursor.skip(1)
        prefixLength = try cursor.native()
        try cursor.skip(2)
        index = Int32(bitPattern: try cursor.native(UInt32.self))
        let attributes = try Attribute.parse(cursor.rest)
        address = (attributes[of: IFA_LOCAL] ?? attributes[of: IFA_ADDRESS]).map { Array($0.payload) } ?? []
    }
}

/// A route (`RTM_NEWROUTE`).
public struct Route: Hashable, Sendable {
    /// Empty for a default route.
    public var destination: AddressBytes
    public var prefixLength: UInt8
    public var gateway: AddressBytes?
    /// Index of the interface it leaves by.
    public var outputIndex: Int32?
    /// Routing table (`RT_TABLE_MAIN` is 254).
    public var table: UInt32
    /// `RTN_*`: unicast, local, broadcast, …
    public var kind: UInt8
    public var priority: UInt32

    public init(destination: AddressBytes, prefixLength: UInt8, gateway: AddressBytes?, outputIndex: Int32?) {
        self.destination = destination
        self.prefixLength = prefixLength
        self.gateway = gateway
        self.outputIndex = outputIndex
        table = RT_TABLE_MAIN.kernelValue
        kind = UInt8(truncatingIfNeeded: RTN_UNICAST.kernelValue)
        priority = 0
    }

    public var isUnicast: Bool { kind == UInt8(truncatingIfNeeded: RTN_UNICAST.kernelValue) }

    /// Reads a message that tells of one.
    public init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        try cursor.skip(1)
        prefixLength = try cursor.native()
        try cursor.skip(2)
        let tableByte: UInt8 = try cursor.native()
        try cursor.skip(2)
        kind = try cursor.native()
        try cursor.skip(4)
        let attributes = try Attribute.parse(cursor.rest)
        destination = attributes[of: RTA_DST].map { Array($0.payload) } ?? []
        gateway = attributes[of: RTA_GATEWAY].map { Array($0.payload) }
        outputIndex = try attributes[of: RTA_OIF]?.native()
        table = try attributes[of: RTA_TABLE]?.native() ?? UInt32(tableByte)
        priority = try attributes[of: RTA_PRIORITY]?.native() ?? 0
    }
}

extension MessageBuilder {
    /// Adds an address, or leaves it as it is when it is there. IPv6 addresses skip duplicate detection: we choose
    /// them.
    public mutating func newAddress(_ address: InterfaceAddress) {
        message(type: RTM_NEWADDR.type16, flags: NLM_F_CREATE | NLM_F_REPLACE) {
            let noDetection: UInt32 = address.address.count == 16 ? IFA_F_NODAD.kernelValue : 0
            $0.appendNative(family(of: address.address))
            $0.appendNative(address.prefixLength)
            $0.appendNative(UInt8(truncatingIfNeeded: noDetection))
            $0.appendNative(UInt8(truncatingIfNeeded: RT_SCOPE_UNIVERSE.kernelValue))
            $0.appendNative(address.index)
            $0.put(IFA_LOCAL, address.address)
            $0.put(IFA_ADDRESS, address.address)
            if let broadcast = broadcastAddress(address) { $0.put(IFA_BROADCAST, broadcast) }
        }
    }

    /// Removes an address.
    public mutating func deleteAddress(_ address: InterfaceAddress) {
        message(type: RTM_DELADDR.type16) {
            $0.appendNative(family(of: address.address))
            $0.appendNative(address.prefixLength)
            $0.appendNative(UInt16(0))
            $0.appendNative(address.index)
            $0.put(IFA_LOCAL, address.address)
            $0.put(IFA_ADDRESS, address.address)
        }
    }

    /// Adds or replaces a unicast route in the main table.
    public mutating func newRoute(_ route: Route) {
        message(type: RTM_NEWROUTE.type16, flags: NLM_F_CREATE | NLM_F_REPLACE) {
            let scope = route.gateway == nil ? RT_SCOPE_LINK.kernelValue : RT_SCOPE_UNIVERSE.kernelValue
            $0.appendNative(family(of: route.gateway ?? route.destination))
            $0.appendNative(route.prefixLength)
            $0.appendNative(UInt16(0))
            $0.appendNative(UInt8(truncatingIfNeeded: RT_TABLE_MAIN.kernelValue))
            $0.appendNative(UInt8(truncatingIfNeeded: RTPROT_STATIC))
            $0.appendNative(UInt8(truncatingIfNeeded: scope))
            $0.appendNative(route.kind)
            $0.appendNative(UInt32(0))
            if route.prefixLength > 0 { $0.put(RTA_DST, route.destination) }
            if let gateway = route.gateway { $0.put(RTA_GATEWAY, gateway) }
            if let index = route.outputIndex { $0.put(RTA_OIF, native: index) }
        }
    }
}

/// All host bits set: what `ip addr add … broadcast +` uses. None for IPv6 and for prefixes without room for one.
private func broadcastAddress(_ address: InterfaceAddress) -> AddressBytes? {
    guard address.address.count == 4, address.prefixLength < 31 else { return nil }
    let hostMask = UInt32.max >> UInt32(address.prefixLength)
    let value = address.address.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } | hostMask
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
}

extension NetlinkSocket {
    /// Every address of one family (`AF_INET`, `AF_INET6`).
    public func addresses(family: Int32) throws(NetlinkError) -> [InterfaceAddress] {
        let messages = try dump(type: RTM_GETADDR.type16, operation: "list addresses") {
            $0.appendNative(UInt8(truncatingIfNeeded: family))
            $0.append([UInt8](repeating: 0, count: 7))
        }
        var addresses: [InterfaceAddress] = []
        for message in messages where message.type == RTM_NEWADDR.type16 {
            addresses.append(try InterfaceAddress(message))
        }
        return addresses
    }

    /// Every route of one family, of every table.
    public func routes(family: Int32) throws(NetlinkError) -> [Route] {
        let messages = try dump(type: RTM_GETROUTE.type16, operation: "list routes") {
            $0.appendNative(UInt8(truncatingIfNeeded: family))
            $0.append([UInt8](repeating: 0, count: 11))
        }
        var routes: [Route] = []
        for message in messages where message.type == RTM_NEWROUTE.type16 { routes.append(try Route(message)) }
        return routes
    }
}
