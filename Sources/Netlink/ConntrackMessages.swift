import CLinux
import Glibc

/// Which tracked connections: those that fit every field that is given. At least one must be.
public struct ConntrackFilter: Hashable, Sendable {
    /// Transport protocol number, e.g. `IPPROTO_UDP`.
    public var transport: UInt8?
    /// Port the client sent to, before NAT.
    public var originalDestinationPort: UInt16?
    /// Address that answers, after NAT: four or sixteen bytes.
    public var replySource: AddressBytes?
    /// `AF_INET` or `AF_INET6`; `nil`: of the addresses, `AF_INET` without any.
    public var family: UInt8?
    /// The client, before NAT.
    public var originalSource: AddressBytes?
    /// Whom the client sent to, before NAT.
    public var originalDestination: AddressBytes?
    /// Whom is answered, after NAT.
    public var replyDestination: AddressBytes?
    public var originalSourcePort: UInt16?
    /// Port that answers, after NAT.
    public var replySourcePort: UInt16?
    public var mark: Masked?
    /// `IPS_*`; kernel >= 6.0.
    public var status: Masked?
    public var zone: UInt16?

    /// A number of which only the bits of a mask are compared.
    public struct Masked: Hashable, Sendable {
        public var value: UInt32
        public var mask: UInt32

        public init(_ value: UInt32, mask: UInt32 = .max) {
            self.value = value
            self.mask = mask
        }
    }

    public init(transport: UInt8? = nil, originalDestinationPort: UInt16? = nil, replySource: AddressBytes? = nil) {
        self.transport = transport
        self.originalDestinationPort = originalDestinationPort
        self.replySource = replySource
    }

    var familyNumber: UInt8 {
        if let family { return family }
        let address = replySource ?? originalSource ?? originalDestination ?? replyDestination
        return Netlink.family(of: address ?? [])
    }

    fileprivate var originalFlags: UInt32 {
        (originalSource == nil ? 0 : gantry_cta_filter_ip_src)
            | (originalDestination == nil ? 0 : gantry_cta_filter_ip_dst)
            | (transport == nil ? 0 : gantry_cta_filter_proto_num)
            | (originalSourcePort == nil ? 0 : gantry_cta_filter_proto_src_port)
            | (originalDestinationPort == nil ? 0 : gantry_cta_filter_proto_dst_port)
    }

    fileprivate var replyFlags: UInt32 {
        (replySource == nil ? 0 : gantry_cta_filter_ip_src)
            | (replyDestination == nil ? 0 : gantry_cta_filter_ip_dst)
            | (replySourcePort == nil ? 0 : gantry_cta_filter_proto_src_port | gantry_cta_filter_proto_num)
    }

    func encode(into builder: inout MessageBuilder) {
        if originalFlags != 0 {
            builder.nest(CTA_TUPLE_ORIG) {
                $0.addresses(originalSource, originalDestination)
                $0.transport(transport, originalSourcePort, originalDestinationPort)
            }
        }
        if replyFlags != 0 {
            builder.nest(CTA_TUPLE_REPLY) {
                $0.addresses(replySource, replyDestination)
                // The kernel wants the protocol wherever there is a port.
                if replySourcePort != nil { $0.transport(transport, replySourcePort, nil) }
            }
        }
        builder.nest(CTA_FILTER) {
            $0.put(CTA_FILTER_ORIG_FLAGS, native: originalFlags)
            $0.put(CTA_FILTER_REPLY_FLAGS, native: replyFlags)
        }
        if let mark {
            builder.put(CTA_MARK, big: mark.value)
            builder.put(CTA_MARK_MASK, big: mark.mask)
        }
        if let status {
            builder.put(CTA_STATUS, big: status.value)
            builder.put(CTA_STATUS_MASK, big: status.mask)
        }
        if let zone { builder.put(CTA_ZONE, big: zone) }
    }
}

extension MessageBuilder {
    fileprivate mutating func addresses(_ source: AddressBytes?, _ destination: AddressBytes?) {
        guard source != nil || destination != nil else { return }
        nest(CTA_TUPLE_IP) {
            if let source { $0.put(source.count == 16 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, source) }
            if let destination { $0.put(destination.count == 16 ? CTA_IP_V6_DST : CTA_IP_V4_DST, destination) }
        }
    }

    fileprivate mutating func transport(_ number: UInt8?, _ source: UInt16?, _ destination: UInt16?) {
        guard number != nil || source != nil || destination != nil else { return }
        nest(CTA_TUPLE_PROTO) {
            if let number { $0.put(CTA_PROTO_NUM, native: number) }
            if let source { $0.put(CTA_PROTO_SRC_PORT, big: source) }
            if let destination { $0.put(CTA_PROTO_DST_PORT, big: destination) }
        }
    }

    private mutating func conntrack(
        _ type: cntl_msg_types, family: UInt8, flags: Int32 = 0, _ body: (inout MessageBuilder) -> Void
    ) {
        let number = UInt16(truncatingIfNeeded: NFNL_SUBSYS_CTNETLINK) << 8 | type.type16
        message(type: number, flags: flags) {
            $0.netfilterHeader(family)
            body(&$0)
        }
    }

    /// Deletes every entry that the filter fits, in one message (`CTA_FILTER`, kernel >= 5.8).
    public mutating func deleteConnections(_ filter: ConntrackFilter) {
        conntrack(IPCTNL_MSG_CT_DELETE, family: filter.familyNumber) { filter.encode(into: &$0) }
    }

    /// Makes an entry, as if its first packet had come; fails with EEXIST when one of its tuples is there.
    public mutating func newConnection(_ connection: Connection) {
        let flags = NLM_F_CREATE | NLM_F_EXCL
        conntrack(IPCTNL_MSG_CT_NEW, family: family(of: connection.original.source), flags: flags) {
            $0.nest(CTA_TUPLE_ORIG) { connection.original.encode(into: &$0) }
            $0.nest(CTA_TUPLE_REPLY) { connection.reply.encode(into: &$0) }
            if let timeout = connection.timeoutSeconds { $0.put(CTA_TIMEOUT, big: timeout) }
            if connection.status != 0 { $0.put(CTA_STATUS, big: connection.status) }
            if connection.mark != 0 { $0.put(CTA_MARK, big: connection.mark) }
            if connection.zone != 0 { $0.put(CTA_ZONE, big: connection.zone) }
            guard let state = connection.tcpState else { return }
            $0.nest(CTA_PROTOINFO) {
                $0.nest(CTA_PROTOINFO_TCP) { $0.put(CTA_PROTOINFO_TCP_STATE, native: state.rawValue) }
            }
        }
    }
}

extension NetlinkSocket {
    /// Every tracked connection of one family or both (`AF_UNSPEC`), or those that a filter fits.
    public func connections(
        family: Int32 = AF_UNSPEC, _ filter: ConntrackFilter? = nil
    ) throws(NetlinkError) -> [Connection] {
        let type = UInt16(truncatingIfNeeded: NFNL_SUBSYS_CTNETLINK) << 8
        let messages = try dump(type: type | IPCTNL_MSG_CT_GET.type16, operation: "list connections") {
            $0.netfilterHeader(filter?.familyNumber ?? UInt8(truncatingIfNeeded: family))
            filter?.encode(into: &$0)
        }
        var connections: [Connection] = []
        for message in messages where message.type == type | IPCTNL_MSG_CT_NEW.type16 {
            connections.append(try Connection(message))
        }
        return connections
    }
}
