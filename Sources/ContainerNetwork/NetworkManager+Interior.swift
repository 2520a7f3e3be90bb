import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

/// The container's side of an interface.
extension NetworkManager {
    /// Addresses, up and default routes in one datagram; what is already there is compared first.
    /// - Parameter mtu: what it must have; `nil` leaves what it has.
    func configure(
        _ spec: InterfaceSpec, _ namespace: NamespaceEntrance, isNew: Bool, mtu: UInt32?
    ) throws(NetworkError) {
        let inside = namespace.route
        guard let link = try netlink({ () throws(NetlinkError) in try inside.link(.name(spec.containerInterface)) })
        else { throw .missingInterface(spec.containerInterface) }
        let addresses = spec.addresses.map {
            InterfaceAddress(
                index: link.index, address: $0.address.bytes, prefixLength: UInt8(clamping: $0.prefixLength))
        }
        if namespace.isInside { try setControls(spec) }
        var request = MessageBuilder()
        request.setLink(.index(loopbackIndex), LinkChange(isUp: true))
        if !isNew { try reset(addresses, of: link, inside) }
        // IPv6 addresses go when an interface goes down, unnoticed by `reset` if that was just now.
        for address in addresses where isNew || address.address.count == 16 { request.newAddress(address) }
        request.setLink(.index(link.index), change(of: link, spec, mtu: mtu))
        if isNew { request.addGateways(spec.gateways, index: link.index) }
        try netlink { () throws(NetlinkError) in
            try inside.transact(request, operation: "configure \(spec.containerInterface) of \(spec.hostInterface)")
            if !isNew { try inside.restoreRoutes(addresses, spec, index: link.index) }
        }
        if namespace.isInside, !isNew, spec.address6 != nil, try !inside.hasLinkLocal(link.index) {
            try SystemControls.renewLinkLocal(spec.containerInterface)
        }
    }

    private func change(of link: Link, _ spec: InterfaceSpec, mtu: UInt32?) -> LinkChange {
        var change = LinkChange(isUp: true)
        // An ipvlan has its parent's Ethernet address.
        if link.address != spec.ethernetAddress, link.kind != "ipvlan" { change.address = spec.ethernetAddress }
        if let mtu, link.mtu != mtu { change.mtu = mtu }
        // A veth's other end is the host's; what is stacked has nothing there to be recognised by.
        if link.kind != "veth", link.alias != spec.hostInterface { change.alias = spec.hostInterface }
        return change
    }

    private func reset(
        _ addresses: [InterfaceAddress], of link: Link, _ inside: NetlinkSocket
    ) throws(NetworkError) {
        try netlink { () throws(NetlinkError) in
            try inside.setAddresses(
                addresses, of: link.index, operation: "set addresses of \(link.name)", withIPv6: hasIPv6)
        }
    }

    /// What an interface that is made now is born with, for one that may be older or was changed since; and what the
    /// user asked for.
    private func setControls(_ spec: InterfaceSpec) throws(NetworkError) {
        let name = spec.containerInterface
        try SystemControls.setIfPresent(.ipv4, name, "arp_notify", 1)
        if hasIPv6 {
            try SystemControls.setIfPresent(.ipv6, name, "disable_ipv6", spec.address6 == nil ? 1 : 0)
            for (key, value) in [("ndisc_notify", 1), ("accept_dad", 0), ("accept_ra", 0)] {
                try SystemControls.setIfPresent(.ipv6, name, key, value)
            }
        }
        for parameter in try InterfaceParameter.all(of: spec) { try parameter.apply() }
    }
}

extension NetlinkSocket {
    fileprivate func restoreRoutes(
        _ addresses: [InterfaceAddress], _ spec: InterfaceSpec, index: Int32
    ) throws(NetlinkError) {
        try restoreConnectedRoutes(of: addresses, operation: "restore routes of \(spec.containerInterface)")
        try removeDefaultRoutes(of: index, but: spec.gateways)
        var request = MessageBuilder()
        request.addGateways(spec.gateways, index: index)
        try transact(request, operation: "set gateway of \(spec.containerInterface)")
    }

    /// Takes away default routes by an interface that lead to other gateways than these.
    private func removeDefaultRoutes(of index: Int32, but gateways: [IPAddress]) throws(NetlinkError) {
        var request = MessageBuilder()
        for family in [AF_INET, AF_INET6] {
            let stale = try routes(family: family).filter { route in
                route.prefixLength == 0 && route.outputIndex == index && route.isUnicast
                    && route.table == RT_TABLE_MAIN.kernelValue
                    && !gateways.contains { $0.bytes == route.gateway }
            }
            for route in stale { request.deleteRoute(route) }
        }
        try transact(request, operation: "remove stale default routes")
    }
}

extension MessageBuilder {
    fileprivate mutating func addGateways(_ gateways: [IPAddress], index: Int32) {
        for gateway in gateways {
            newRoute(Route(destination: [], prefixLength: 0, gateway: gateway.bytes, outputIndex: index))
        }
    }
}
