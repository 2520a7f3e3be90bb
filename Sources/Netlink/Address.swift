import CLinux
import Glibc

/// An interface address or route destination: an IPv4 or IPv6 address in network byte order (4 or 16 bytes).
public typealias AddressBytes = [UInt8]

func family(of address: AddressBytes) -> UInt8 { UInt8(address.count == 16 ? AF_INET6 : AF_INET) }

/// An address of an interface (`RTM_NEWADDR`): what identifies it.
public struct InterfaceAddress: Hashable, Sendable {
    public var index: Int32
    public var address: AddressBytes
    public var prefixLength: UInt8

    public init(index: Int32, address: AddressBytes, prefixLength: UInt8) {
        self.index = index
        self.address = address
        self.prefixLength = prefixLength
    }

    init(_ message: NetlinkMessage) throws(NetlinkError) { self = try AssignedAddress(message).address }
}

/// How far an address or a route reaches (`enum rt_scope_t`); numbers between these are the user's own.
public struct RouteScope: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let universe = RouteScope(rawValue: 0)
    public static let site = RouteScope(rawValue: 200)
    public static let link = RouteScope(rawValue: 253)
    public static let host = RouteScope(rawValue: 254)
    public static let nowhere = RouteScope(rawValue: 255)
}

/// All that is known of an interface's address.
public struct AssignedAddress: Hashable, Sendable {
    public var address: InterfaceAddress
    public var scope: RouteScope
    /// `IFA_F_*`.
    public var flags: UInt32
    public var broadcast: AddressBytes?
    /// Other end of a point-to-point interface.
    public var peer: AddressBytes?
    /// IPv4 only: the interface's name, a colon and more.
    public var label: String?
    /// Seconds; `nil` for ever.
    public var validSeconds: UInt32?
    /// Seconds; `nil` for ever.
    public var preferredSeconds: UInt32?
    /// `IFAPROT_*`: who made it.
    public var protocolNumber: UInt8?
    /// Metric of the route to its prefix.
    public var routePriority: UInt32?

    public init(_ address: InterfaceAddress, scope: RouteScope = .universe, flags: UInt32 = 0) {
        self.address = address
        self.scope = scope
        self.flags = flags
    }

    public var isPermanent: Bool { flags & UInt32(IFA_F_PERMANENT) != 0 }

    /// Reads an `RTM_NEWADDR` or `RTM_DELADDR` message.
    public init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        try cursor.skip(1)
        let prefixLength: UInt8 = try cursor.native()
        let shortFlags: UInt8 = try cursor.native()
        scope = RouteScope(rawValue: try cursor.native())
        let index = Int32(bitPattern: try cursor.native(UInt32.self))
        let attributes = try Attribute.parse(cursor.rest)
        let remote = attributes[of: IFA_ADDRESS].map { Array($0.payload) }
        let local = attributes[of: IFA_LOCAL].map { Array($0.payload) }
        address = InterfaceAddress(index: index, address: local ?? remote ?? [], prefixLength: prefixLength)
        peer = local != nil && local != remote ? remote : nil
        flags = try attributes[of: IFA_FLAGS]?.native() ?? UInt32(shortFlags)
        broadcast = attributes[of: IFA_BROADCAST].map { Array($0.payload) }
        label = attributes[of: IFA_LABEL]?.string
        protocolNumber = try attributes[of: IFA_PROTO]?.native()
        routePriority = try attributes[of: IFA_RT_PRIORITY]?.native()
        if let life = attributes[of: IFA_CACHEINFO] {
            var cursor = ByteCursor(life.payload)
            preferredSeconds = Self.finite(try cursor.native())
            validSeconds = Self.finite(try cursor.native())
        }
    }

    /// `INFINITY_LIFE_TIME`.
    private static func finite(_ seconds: UInt32) -> UInt32? { seconds == UInt32.max ? nil : seconds }
}

extension MessageBuilder {
    /// Adds an address, or leaves it as it is when it is there. IPv6 addresses skip duplicate detection: we choose
    /// them.
    public mutating func newAddress(_ address: InterfaceAddress) {
        message(type: RTM_NEWADDR.type16, flags: NLM_F_CREATE | NLM_F_REPLACE) {
            let noDetection: UInt32 = address.address.count == 16 ? IFA_F_NODAD.kernelValue : 0
            $0.addressHeader(address, flags: noDetection, scope: .universe)
            $0.put(IFA_LOCAL, address.address)
            $0.put(IFA_ADDRESS, address.address)
            if let broadcast = broadcastAddress(address) { $0.put(IFA_BROADCAST, broadcast) }
        }
    }

    /// Adds an address with all that belongs to it, or changes what is there.
    public mutating func newAddress(_ assigned: AssignedAddress) {
        let address = assigned.address
        message(type: RTM_NEWADDR.type16, flags: NLM_F_CREATE | NLM_F_REPLACE) {
            $0.addressHeader(address, flags: assigned.flags, scope: assigned.scope)
            $0.put(IFA_LOCAL, address.address)
            $0.put(IFA_ADDRESS, assigned.peer ?? address.address)
            if let broadcast = assigned.broadcast { $0.put(IFA_BROADCAST, broadcast) }
            if let label = assigned.label { $0.put(IFA_LABEL, string: label) }
            $0.put(IFA_FLAGS, native: assigned.flags)
            if assigned.validSeconds != nil || assigned.preferredSeconds != nil {
                let life: [UInt32] = [assigned.preferredSeconds ?? .max, assigned.validSeconds ?? .max, 0, 0]
                $0.put(IFA_CACHEINFO, life.flatMap { value in withUnsafeBytes(of: value) { Array($0) } })
            }
            $0.put(IFA_PROTO, native: assigned.protocolNumber)
            $0.put(IFA_RT_PRIORITY, native: assigned.routePriority)
        }
    }

    /// Removes an address.
    public mutating func deleteAddress(_ address: InterfaceAddress) {
        message(type: RTM_DELADDR.type16) {
            $0.addressHeader(address, flags: 0, scope: .universe)
            $0.put(IFA_LOCAL, address.address)
            $0.put(IFA_ADDRESS, address.address)
        }
    }

    /// `struct ifaddrmsg`.
    private mutating func addressHeader(_ address: InterfaceAddress, flags: UInt32, scope: RouteScope) {
        appendNative(family(of: address.address))
        appendNative(address.prefixLength)
        appendNative(UInt8(truncatingIfNeeded: flags))
        appendNative(scope.rawValue)
        appendNative(address.index)
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
    /// Every address of one family (`AF_INET`, `AF_INET6`), or of one interface.
    public func assignedAddresses(family: Int32, index: Int32 = 0) throws(NetlinkError) -> [AssignedAddress] {
        let messages = try dump(type: RTM_GETADDR.type16, operation: "list addresses") {
            $0.appendNative(UInt8(truncatingIfNeeded: family))
            $0.appendNative(UInt8(0))
            $0.appendNative(UInt16(0))
            $0.appendNative(index)
        }
        var addresses: [AssignedAddress] = []
        for message in messages where message.type == RTM_NEWADDR.type16 {
            addresses.append(try AssignedAddress(message))
        }
        return addresses
    }

    /// Every address of one family (`AF_INET`, `AF_INET6`).
    public func addresses(family: Int32) throws(NetlinkError) -> [InterfaceAddress] {
        try assignedAddresses(family: family).map(\.address)
    }
}
