import CLinux

/// `NLMSG_ERROR` or `NLMSG_DONE`: an errno (zero or negative) and the kernel's words. `struct nlmsgerr`, extended
/// acknowledgements of netlink(7).
struct Acknowledgement: Equatable {
    /// Positive errno, 0 for success.
    var code: Int32
    /// The kernel's own words.
    var reason: String?
    /// Bytes from the start of the request to the attribute that it did not like.
    var offset: Int?
    /// Type of an attribute that it missed.
    var missingType: UInt16?
    /// Bytes from the start of the request to the nest where that should have been; `nil` for the top.
    var missingNest: Int?

    init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        code = 0 &- (try cursor.native(Int32.self))
        guard message.has(NLM_F_ACK_TLVS) else { return }
        let length = Int(try cursor.native(UInt32.self))
        try cursor.skip(MessageBuilder.headerByteCount - 4)
        if !message.has(NLM_F_CAPPED) { try cursor.skip((length + 3) & ~3 - MessageBuilder.headerByteCount) }
        try read(Attribute.parse(cursor.rest))
    }

    init(done message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        // nfnetlink's batches end without the number; a dump's end has it.
        code = message.payload.count < 4 ? 0 : 0 &- (try cursor.native(Int32.self))
        if message.has(NLM_F_ACK_TLVS) { try read(Attribute.parse(cursor.rest)) }
    }

    private mutating func read(_ attributes: [Attribute]) throws(NetlinkError) {
        reason = attributes[of: NLMSGERR_ATTR_MSG]?.string
        if let bytes: UInt32 = try attributes[of: NLMSGERR_ATTR_OFFS]?.native() { offset = Int(bytes) }
        if let type: UInt32 = try attributes[of: NLMSGERR_ATTR_MISS_TYPE]?.native() {
            missingType = UInt16(truncatingIfNeeded: type)
        }
        if let bytes: UInt32 = try attributes[of: NLMSGERR_ATTR_MISS_NEST]?.native() { missingNest = Int(bytes) }
    }

    /// Throws what the kernel said, about the message `request` (its bytes) when they are given.
    func check(_ operation: String, request: ArraySlice<UInt8> = []) throws(NetlinkError) {
        if code != 0 { throw .refused(operation: operation, code: code, reason: explanation(request)) }
    }

    /// The kernel's words, and the path of the attribute they are about.
    func explanation(_ request: ArraySlice<UInt8>) -> String? {
        var parts = reason.map { [$0] } ?? []
        let path = AttributePath(request)
        if let offset, let place = path.name(at: offset) { parts.append("at \(place)") }
        if let missingType {
            parts.append("missing \(path.name(ofType: missingType, inNestAt: missingNest))")
        }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}

/// Names the attributes of a request by where they are.
struct AttributePath {
    private let request: ArraySlice<UInt8>
    private let messageType: UInt16
    private let headerByteCount: Int

    init(_ request: ArraySlice<UInt8>) {
        self.request = request
        let bytes = request.dropFirst(4).prefix(2)
        messageType = UInt16(native: bytes) ?? 0
        headerByteCount = MessageBuilder.headerByteCount + Self.familyHeaderByteCount(messageType)
    }

    /// `struct ifinfomsg`, `ifaddrmsg`, `rtmsg`, `ndmsg`, `fib_rule_hdr`, `nfgenmsg`.
    private static func familyHeaderByteCount(_ type: UInt16) -> Int {
        switch Int(type) {
        case RTM_NEWLINK...RTM_SETLINK: 16
        case RTM_NEWADDR...RTM_GETADDR: 8
        case RTM_NEWROUTE...RTM_GETROUTE, RTM_NEWNEIGH...RTM_GETNEIGH, RTM_NEWRULE...RTM_GETRULE: 12
        default: 4
        }
    }

    /// `LINKINFO > DATA > 5`: the attributes around the one at `offset` and itself; `nil` when none starts there.
    func name(at offset: Int) -> String? {
        types(to: offset).map(text)
    }

    func name(ofType type: UInt16, inNestAt nest: Int?) -> String {
        let outer = nest.flatMap { types(to: $0) } ?? []
        return text(outer + [type])
    }

    /// Types of the attributes from the outermost to the one whose header is at `offset`.
    private func types(to offset: Int) -> [UInt16]? {
        guard offset >= headerByteCount, offset < request.count else { return nil }
        var path: [UInt16] = []
        var start = headerByteCount
        var end = request.count
        while start + MessageBuilder.attributeHeaderByteCount <= end {
            let header = request.dropFirst(start)
            guard let length = UInt16(native: header.prefix(2)), Int(length) >= MessageBuilder.attributeHeaderByteCount,
                let rawType = UInt16(native: header.dropFirst(2).prefix(2)), start + Int(length) <= end
            else { return nil }
            let type = rawType & UInt16(truncatingIfNeeded: gantry_nla_type_mask)
            let next = start + (Int(length) + 3) & ~3
            if offset == start || (offset < start + MessageBuilder.attributeHeaderByteCount && offset > start) {
                return path + [type]
            }
            if offset < next {
                path.append(type)
                end = start + Int(length)
                start += MessageBuilder.attributeHeaderByteCount
            } else {
                start = next
            }
        }
        return path.isEmpty ? nil : path
    }

    private func text(_ types: [UInt16]) -> String {
        let first = types.first.map { AttributeNames.top(messageType: messageType, $0) ?? "attribute \($0)" }
        return ([first ?? ""] + types.dropFirst().map { "attribute \($0)" }).joined(separator: " > ")
    }
}

/// Names of the outermost attributes of a request, as the kernel's headers have them.
enum AttributeNames {
    static func top(messageType: UInt16, _ type: UInt16) -> String? {
        if messageType >> 8 == UInt16(truncatingIfNeeded: NFNL_SUBSYS_NFTABLES) {
            return firewall(nf_tables_msg_types(UInt32(messageType & 0xff)))?[Int(type)]
        }
        switch Int(messageType) {
        case RTM_NEWLINK...RTM_SETLINK: return link[Int(type)]
        case RTM_NEWADDR...RTM_GETADDR: return address[Int(type)]
        case RTM_NEWROUTE...RTM_GETROUTE: return route[Int(type)]
        case RTM_NEWNEIGH...RTM_GETNEIGH: return neighbour[Int(type)]
        case RTM_NEWRULE...RTM_GETRULE: return rule[Int(type)]
        default: return nil
        }
    }

    private static let link = [
        IFLA_ADDRESS: "IFLA_ADDRESS", IFLA_IFNAME: "IFLA_IFNAME", IFLA_MTU: "IFLA_MTU", IFLA_LINK: "IFLA_LINK",
        IFLA_MASTER: "IFLA_MASTER", IFLA_LINKINFO: "IFLA_LINKINFO", IFLA_IFALIAS: "IFLA_IFALIAS",
        IFLA_NET_NS_FD: "IFLA_NET_NS_FD", IFLA_AF_SPEC: "IFLA_AF_SPEC", IFLA_TXQLEN: "IFLA_TXQLEN",
        IFLA_EXT_MASK: "IFLA_EXT_MASK", IFLA_GROUP: "IFLA_GROUP",
    ]
    private static let address = [
        IFA_ADDRESS: "IFA_ADDRESS", IFA_LOCAL: "IFA_LOCAL", IFA_LABEL: "IFA_LABEL", IFA_BROADCAST: "IFA_BROADCAST",
        IFA_CACHEINFO: "IFA_CACHEINFO", IFA_FLAGS: "IFA_FLAGS", IFA_PROTO: "IFA_PROTO",
        IFA_RT_PRIORITY: "IFA_RT_PRIORITY",
    ]
    private static let route: [Int: String] = [
        1: "RTA_DST", 2: "RTA_SRC", 3: "RTA_IIF", 4: "RTA_OIF", 5: "RTA_GATEWAY", 6: "RTA_PRIORITY", 7: "RTA_PREFSRC",
        8: "RTA_METRICS", 9: "RTA_MULTIPATH", 15: "RTA_TABLE", 18: "RTA_VIA", 20: "RTA_PREF",
    ]
    private static let neighbour = [
        NDA_DST: "NDA_DST", NDA_LLADDR: "NDA_LLADDR", NDA_VLAN: "NDA_VLAN", NDA_MASTER: "NDA_MASTER",
        NDA_PROTOCOL: "NDA_PROTOCOL",
    ]
    private static let rule = [
        FRA_DST: "FRA_DST", FRA_SRC: "FRA_SRC", FRA_IIFNAME: "FRA_IIFNAME", FRA_OIFNAME: "FRA_OIFNAME",
        FRA_GOTO: "FRA_GOTO", FRA_PRIORITY: "FRA_PRIORITY", FRA_FWMARK: "FRA_FWMARK", FRA_FWMASK: "FRA_FWMASK",
        FRA_TABLE: "FRA_TABLE", FRA_SUPPRESS_PREFIXLEN: "FRA_SUPPRESS_PREFIXLEN", FRA_PROTOCOL: "FRA_PROTOCOL",
        FRA_IP_PROTO: "FRA_IP_PROTO", FRA_SPORT_RANGE: "FRA_SPORT_RANGE", FRA_DPORT_RANGE: "FRA_DPORT_RANGE",
    ]

    private static func firewall(_ type: nf_tables_msg_types) -> [Int: String]? {
        switch type {
        case NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, NFT_MSG_GETTABLE: [1: "NFTA_TABLE_NAME", 2: "NFTA_TABLE_FLAGS"]
        case NFT_MSG_NEWCHAIN, NFT_MSG_DELCHAIN, NFT_MSG_GETCHAIN:
            [
                1: "NFTA_CHAIN_TABLE", 2: "NFTA_CHAIN_HANDLE", 3: "NFTA_CHAIN_NAME", 4: "NFTA_CHAIN_HOOK",
                5: "NFTA_CHAIN_POLICY", 7: "NFTA_CHAIN_TYPE",
            ]
        case NFT_MSG_NEWRULE, NFT_MSG_DELRULE, NFT_MSG_GETRULE:
            [
                1: "NFTA_RULE_TABLE", 2: "NFTA_RULE_CHAIN", 3: "NFTA_RULE_HANDLE", 4: "NFTA_RULE_EXPRESSIONS",
                6: "NFTA_RULE_POSITION", 7: "NFTA_RULE_USERDATA",
            ]
        case NFT_MSG_NEWSET, NFT_MSG_DELSET, NFT_MSG_GETSET:
            [
                1: "NFTA_SET_TABLE", 2: "NFTA_SET_NAME", 3: "NFTA_SET_FLAGS", 4: "NFTA_SET_KEY_TYPE",
                5: "NFTA_SET_KEY_LEN", 6: "NFTA_SET_DATA_TYPE", 7: "NFTA_SET_DATA_LEN", 9: "NFTA_SET_DESC",
            ]
        case NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM, NFT_MSG_GETSETELEM:
            [1: "NFTA_SET_ELEM_LIST_TABLE", 2: "NFTA_SET_ELEM_LIST_SET", 3: "NFTA_SET_ELEM_LIST_ELEMENTS"]
        default: nil
        }
    }
}
