import CLinux
import Glibc
import Netlink

/// What the kernel says about the namespaces of containers.
enum InsideEvents {
    static let groups = [
        RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
        RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF,
    ]

    /// Something went that may have to come back. An interface that is made comes down, which is none of it.
    static func isLoss(_ message: NetlinkMessage) throws(NetlinkError) -> Bool {
        switch Int(message.type) {
        case RTM_DELADDR: return try !AssignedAddress(message).address.isLinkLocal6
        case RTM_DELROUTE:
            let route = try Route(message)
            return route.isUnicast && !route.isLinkLocal6 && route.table == RT_TABLE_MAIN.kernelValue
        case RTM_NEWNETCONF: return true
        case RTM_NEWLINK:
            // struct ifinfomsg: flags and which of them have changed, four bytes each from the eighth on.
            var cursor = ByteCursor(message.payload)
            try cursor.skip(8)
            let flags: UInt32 = try cursor.native()
            let changed: UInt32 = try cursor.native()
            return changed != .max && changed & UInt32(IFF_UP) != 0 && flags & UInt32(IFF_UP) == 0
        default: return false
        }
    }
}
