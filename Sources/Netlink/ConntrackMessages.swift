import CLinux
import Glibc

/// Which tracked connections to forget: those of one family that fit every field that is given. At least one must be.
public struct ConntrackFilter: Hashable, Sendable {
    public var isV6: Bool
    /// Transport protocol number, e.g. `IPPROTO_UDP`.
    public var transport: UInt8?
    /// Port the client sent to, before NAT.
    public var originalDestinationPort: UInt16?
    /// Address the client sent to, before NAT: of the family.
    public var originalDestination: AddressBytes?
    /// Address that answers, after NAT: of the family.
    public var replySource: AddressBytes?

    public init(
        isV6: Bool = false, transport: UInt8? = nil, originalDestinationPort: UInt16? = nil,
        originalDestination: AddressBytes? = nil, replySource: AddressBytes? = nil
    ) {
        self.isV6 = isV6
        self.transport = transport
        self.originalDestinationPort = originalDestinationPort
        self.originalDestination = originalDestination
        self.replySource = replySource
    }
}

private func conntrackType(_ type: cntl_msg_types) -> UInt16 {
    UInt16(truncatingIfNeeded: NFNL_SUBSYS_CTNETLINK) << 8 | type.type16
}

extension ConntrackFilter {
    fileprivate var family: UInt8 { UInt8(isV6 ? AF_INET6 : AF_INET) }

    fileprivate var withoutAddresses: ConntrackFilter {
        ConntrackFilter(isV6: isV6, transport: transport, originalDestinationPort: originalDestinationPort)
    }
}

extension NetlinkSocket {
    /// Deletes every entry that the filter fits; none is no error.
    ///
    /// For IPv4 that is one message, and the kernel walks its entries by itself (`CTA_FILTER`, kernel >= 5.8). For IPv6
    /// addresses it cannot be asked: kernels up to 6.18 at least take those that differ for those that fit
    /// (`ctnetlink_filter_match_tuple` has `ipv6_addr_cmp` the wrong way round). The entries with the port and transport
    /// are listed, and deleted one by one.
    public func forgetConnections(_ filter: ConntrackFilter, operation: String) throws(NetlinkError) {
        guard filter.isV6, filter.originalDestination != nil || filter.replySource != nil else {
            var request = MessageBuilder()
            request.deleteConnections(filter)
            return try transactIgnoringMissing(request, operation: operation)
        }
        for entry in try connections(filter.withoutAddresses, operation: operation) {
            let fits =
                (filter.originalDestination ?? entry.originalDestination) == entry.originalDestination
                && (filter.replySource ?? entry.replySource) == entry.replySource
            guard fits else { continue }
            var request = MessageBuilder()
            request.deleteConnection(entry, family: filter.family)
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

    private func connections(
        _ filter: ConntrackFilter, operation: String
    ) throws(NetlinkError) -> [TrackedConnection] {
        let messages = try dump(type: conntrackType(IPCTNL_MSG_CT_GET), operation: operation) {
            $0.netfilterHeader(filter.family)
            if filter.transport != nil || filter.originalDestinationPort != nil { $0.conntrackFilter(filter) }
        }
        var entries: [TrackedConnection] = []
        for message in messages {
            var cursor = ByteCursor(message.payload)
            try cursor.skip(4)
            if let entry = try TrackedConnection(Attribute.parse(cursor.rest)) { entries.append(entry) }
        }
        return entries
    }
}

/// An entry, as far as it is needed to find and delete it.
private struct TrackedConnection {
    /// `CTA_TUPLE_ORIG` as the kernel says it.
    var original: [UInt8]
    var originalDestination: AddressBytes
    var replySource: AddressBytes
    /// `nil` when the kernel gives none.
    var id: [UInt8]?

    /// `nil` for an entry without addresses.
    init?(_ attributes: [Attribute]) throws(NetlinkError) {
        guard let original = attributes[of: CTA_TUPLE_ORIG], let reply = attributes[of: CTA_TUPLE_REPLY],
            let destination = try original.nested()[of: CTA_TUPLE_IP]?.nested()[of: CTA_IP_V6_DST],
            let source = try reply.nested()[of: CTA_TUPLE_IP]?.nested()[of: CTA_IP_V6_SRC]
        else { return nil }
        self.original = Array(original.payload)
        originalDestination = Array(destination.payload)
        replySource = Array(source.payload)
        id = attributes[of: CTA_ID].map { Array($0.payload) }
    }
}

extension MessageBuilder {
    mutating func deleteConnections(_ filter: ConntrackFilter) {
        message(type: conntrackType(IPCTNL_MSG_CT_DELETE)) {
            $0.netfilterHeader(filter.family)
            $0.conntrackFilter(filter)
        }
    }

    fileprivate mutating func deleteConnection(_ entry: TrackedConnection, family: UInt8) {
        message(type: conntrackType(IPCTNL_MSG_CT_DELETE)) {
            $0.netfilterHeader(family)
            $0.nest(CTA_TUPLE_ORIG) { $0.append(entry.original) }
            if let id = entry.id { $0.put(CTA_ID, id) }
        }
    }

    fileprivate mutating func conntrackFilter(_ filter: ConntrackFilter) {
        let originalFlags = originalTuple(filter)
        var replyFlags: UInt32 = 0
        if let source = filter.replySource {
            nest(CTA_TUPLE_REPLY) {
                $0.nest(CTA_TUPLE_IP) { $0.put(filter.isV6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, source) }
            }
            replyFlags |= gantry_cta_filter_ip_src
        }
        nest(CTA_FILTER) {
            $0.put(CTA_FILTER_ORIG_FLAGS, native: originalFlags)
            $0.put(CTA_FILTER_REPLY_FLAGS, native: replyFlags)
        }
    }

    /// Answers the flags that say which of the tuple's fields count.
    private mutating func originalTuple(_ filter: ConntrackFilter) -> UInt32 {
        var flags: UInt32 = 0
        let hasTransport = filter.transport != nil || filter.originalDestinationPort != nil
        guard hasTransport || filter.originalDestination != nil else { return flags }
        nest(CTA_TUPLE_ORIG) {
            if let destination = filter.originalDestination {
                $0.nest(CTA_TUPLE_IP) { $0.put(filter.isV6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, destination) }
                flags |= gantry_cta_filter_ip_dst
            }
            guard hasTransport else { return }
            $0.nest(CTA_TUPLE_PROTO) {
                if let transport = filter.transport {
                    $0.put(CTA_PROTO_NUM, [transport])
                    flags |= gantry_cta_filter_proto_num
                }
                if let port = filter.originalDestinationPort {
                    $0.put(CTA_PROTO_DST_PORT, big: port)
                    flags |= gantry_cta_filter_proto_dst_port
                }
            }
        }
        return flags
    }
}
