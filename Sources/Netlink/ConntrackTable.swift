import CLinux
import Glibc

extension ConntrackFilter {
    /// Whether the kernel may be left to choose. It may not
    /// - by IPv6 addresses: it takes those that differ for those that fit (`ctnetlink_filter_match_tuple` has
    ///   `ipv6_addr_cmp` the wrong way round; kernels up to 6.18 at least),
    /// - by zone or status: older kernels do not know these filters and take everything.
    var isTestedByKernel: Bool {
        zone == nil && status == nil
            && ![replySource, originalSource, originalDestination, replyDestination].contains { $0?.count == 16 }
    }

    /// What the kernel may be asked, so that it answers with less: fits whatever the whole filter fits.
    fileprivate var kernelPart: ConntrackFilter {
        var part = self
        part.family = familyNumber
        (part.zone, part.status) = (nil, nil)
        guard familyNumber == UInt8(AF_INET6) else { return part }
        (part.replySource, part.originalSource) = (nil, nil)
        (part.originalDestination, part.replyDestination) = (nil, nil)
        return part
    }

    /// Whether it fits a connection.
    public func fits(_ connection: Connection) -> Bool {
        let (original, reply) = (connection.original, connection.reply)
        return isFamily(of: original.source)
            && isSame(transport, original.transport)
            && isSame(originalSource, original.source) && isSame(originalDestination, original.destination)
            && isSame(replySource, reply.source) && isSame(replyDestination, reply.destination)
            && isSame(originalSourcePort, original.sourcePort)
            && isSame(originalDestinationPort, original.destinationPort)
            && isSame(replySourcePort, reply.sourcePort)
            && isSame(zone, connection.zone)
            && mark.map { $0.fits(connection.mark) } ?? true
            && status.map { $0.fits(connection.status) } ?? true
    }

    private func isFamily(of address: AddressBytes) -> Bool {
        familyNumber == UInt8(AF_UNSPEC) || familyNumber == Netlink.family(of: address)
    }

    private func isSame<Value: Equatable>(_ wanted: Value?, _ value: Value?) -> Bool {
        wanted == nil || wanted == value
    }
}

extension ConntrackFilter.Masked {
    fileprivate func fits(_ number: UInt32) -> Bool { number & mask == value & mask }
}

extension NetlinkSocket {
    /// Every tracked connection of one family or both (`AF_UNSPEC`).
    public func connections(family: Int32 = AF_UNSPEC) throws(NetlinkError) -> [Connection] {
        try connections { $0.netfilterHeader(UInt8(truncatingIfNeeded: family)) }
    }

    /// The tracked connections that a filter fits.
    public func connections(_ filter: ConntrackFilter) throws(NetlinkError) -> [Connection] {
        let part = filter.kernelPart
        return try connections {
            $0.netfilterHeader(part.familyNumber)
            part.encode(into: &$0)
        }
        .filter(filter.fits)
    }

    private func connections(_ body: (inout MessageBuilder) -> Void) throws(NetlinkError) -> [Connection] {
        let type = UInt16(truncatingIfNeeded: NFNL_SUBSYS_CTNETLINK) << 8
        var connections: [Connection] = []
        for message in try dump(type: type | IPCTNL_MSG_CT_GET.type16, operation: "list connections", body)
        where message.type == type | IPCTNL_MSG_CT_NEW.type16 {
            connections.append(try Connection(message))
        }
        return connections
    }

    /// Forgets every tracked connection that the filter fits: by one message where the kernel can be trusted with the
    /// filter, else one by one. Those that end meanwhile are no error, nor is it when there are none.
    public func forgetConnections(_ filter: ConntrackFilter, operation: String) throws(NetlinkError) {
        if filter.isTestedByKernel {
            var request = MessageBuilder()
            request.deleteConnections(filter)
            do {
                try transact(request, operation: operation)
            } catch {
                // Nothing is tracked.
                if error.code != ENOENT { throw error }
            }
            return
        }
        var rest = try connections(filter)[...]
        while !rest.isEmpty {
            var request = MessageBuilder()
            for connection in rest.prefix(Self.deletionsPerRequestMax) { request.deleteConnection(connection) }
            rest = rest.dropFirst(Self.deletionsPerRequestMax)
            for case let refusal? in try transactEach(request, operation: operation) where refusal.code != ENOENT {
                throw refusal
            }
        }
    }

    private static let deletionsPerRequestMax = 500
}
