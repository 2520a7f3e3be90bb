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

extension MessageBuilder {
    /// Deletes every entry that the filter fits, in one message (`CTA_FILTER`, kernel >= 5.8).
    public mutating func deleteConnections(_ filter: ConntrackFilter) {
        let type = UInt16(truncatingIfNeeded: NFNL_SUBSYS_CTNETLINK) << 8 | IPCTNL_MSG_CT_DELETE.type16
        message(type: type) {
            $0.netfilterHeader(UInt8(filter.isV6 ? AF_INET6 : AF_INET))
            let originalFlags = $0.originalTuple(filter)
            var replyFlags: UInt32 = 0
            if let source = filter.replySource {
                $0.nest(CTA_TUPLE_REPLY) {
                    $0.nest(CTA_TUPLE_IP) { $0.put(filter.isV6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, source) }
                }
                replyFlags |= gantry_cta_filter_ip_src
            }
            $0.nest(CTA_FILTER) {
                $0.put(CTA_FILTER_ORIG_FLAGS, native: originalFlags)
                $0.put(CTA_FILTER_REPLY_FLAGS, native: replyFlags)
            }
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
