import CLinux
import Glibc

extension NetlinkSocket {
    /// Deletes every tracked connection that the filter fits; none is no error. Of a filter with IPv6 addresses, only
    /// transport, ports and addresses count.
    ///
    /// For IPv4 that is one message, and the kernel walks its entries by itself (`CTA_FILTER`, kernel >= 5.8). For IPv6
    /// addresses it cannot be asked: kernels up to 6.18 at least take those that differ for those that fit
    /// (`ctnetlink_filter_match_tuple` has `ipv6_addr_cmp` the wrong way round). The entries with the ports and transport
    /// are listed, and deleted one by one.
    public func forgetConnections(_ filter: ConntrackFilter, operation: String) throws(NetlinkError) {
        guard filter.familyNumber == UInt8(AF_INET6), filter.hasAddress else {
            var request = MessageBuilder()
            request.deleteConnections(filter)
            return try transactIgnoringMissing(request, operation: operation)
        }
        for connection in try connections(filter.withoutAddresses) where filter.fitsAddresses(connection) {
            var request = MessageBuilder()
            request.deleteConnection(connection)
            try transactIgnoringMissing(request, operation: operation)
        }
    }

    private func transactIgnoringMissing(_ request: MessageBuilder, operation: String) throws(NetlinkError) {
        do throws(NetlinkError) {
            try transact(request, operation: operation)
        } catch {
            // Nothing is tracked, or it ended by itself.
            if error.code != ENOENT { throw error }
        }
    }
}

extension MessageBuilder {
    /// Deletes one entry, unless another has taken its place; fails with ENOENT when it is not there.
    public mutating func deleteConnection(_ connection: Connection) {
        let type = UInt16(truncatingIfNeeded: NFNL_SUBSYS_CTNETLINK) << 8 | IPCTNL_MSG_CT_DELETE.type16
        message(type: type) {
            $0.netfilterHeader(family(of: connection.original.source))
            $0.nest(CTA_TUPLE_ORIG) { connection.original.encode(into: &$0) }
            if connection.zone != 0 { $0.put(CTA_ZONE, big: connection.zone) }
            if let id = connection.id { $0.put(CTA_ID, big: id) }
        }
    }
}

extension ConntrackFilter {
    fileprivate var hasAddress: Bool {
        originalSource != nil || originalDestination != nil || replySource != nil || replyDestination != nil
    }

    fileprivate var withoutAddresses: ConntrackFilter {
        var filter = self
        filter.family = familyNumber
        filter.originalSource = nil
        filter.originalDestination = nil
        filter.replySource = nil
        filter.replyDestination = nil
        return filter
    }

    fileprivate func fitsAddresses(_ connection: Connection) -> Bool {
        func fits(_ wanted: AddressBytes?, _ value: AddressBytes) -> Bool { wanted == nil || wanted == value }
        return fits(originalSource, connection.original.source)
            && fits(originalDestination, connection.original.destination)
            && fits(replySource, connection.reply.source) && fits(replyDestination, connection.reply.destination)
    }
}
