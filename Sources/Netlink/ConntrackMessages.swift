import CLinux
import Glibc

/// Which tracked connections to forget: those that fit every field that is given. At least one must be.
public struct ConntrackFilter: Hashable, Sendable {
    /// Transport protocol number, e.g. `IPPROTO_UDP`.
    public var transport: UInt8?
    /// Port the client sent to, before NAT.
    public var originalDestinationPort: UInt16?
    /// Address that answers, after NAT: four bytes.
    public var replySource: AddressBytes?

    public init(transport: UInt8? = nil, originalDestinationPort: UInt16? = nil, replySource: AddressBytes? = nil) {
        self.transport = transport
        self.originalDestinationPort = originalDestinationPort
        self.replySource = replySource
    }
}

extension MessageBuilder {
    /// Deletes every IPv4 entry that the filter fits, in one message (`CTA_FILTER`, kernel >= 5.8).
    public mutating func deleteConnections(_ filter: ConntrackFilter) {
        let type = UInt16(truncatingIfNeeded: NFNL_SUBSYS_CTNETLINK) << 8 | IPCTNL_MSG_CT_DELETE.type16
        message(type: type) {
            $0.netfilterHeader(UInt8(AF_INET))
            var originalFlags: UInt32 = 0
            var replyFlags: UInt32 = 0
            if filter.transport != nil || filter.originalDestinationPort != nil {
                $0.nest(CTA_TUPLE_ORIG) {
                    $0.nest(CTA_TUPLE_PROTO) {
                        if let transport = filter.transport {
                            $0.put(CTA_PROTO_NUM, [transport])
                            originalFlags |= gantry_cta_filter_proto_num
                        }
                        if let port = filter.originalDestinationPort {
                            $0.put(CTA_PROTO_DST_PORT, big: port)
                            originalFlags |= gantry_cta_filter_proto_dst_port
                        }
                    }
                }
            }
            if let source = filter.replySource {
                $0.nest(CTA_TUPLE_REPLY) { $0.nest(CTA_TUPLE_IP) { $0.put(CTA_IP_V4_SRC, source) } }
                replyFlags |= gantry_cta_filter_ip_src
            }
            $0.nest(CTA_FILTER) {
                $0.put(CTA_FILTER_ORIG_FLAGS, native: originalFlags)
                $0.put(CTA_FILTER_REPLY_FLAGS, native: replyFlags)
            }
        }
    }
}
