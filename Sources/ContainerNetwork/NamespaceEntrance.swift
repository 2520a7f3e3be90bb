import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

/// What it takes to make and change interfaces in a container's namespace.
struct NamespaceEntrance: Sendable {
    let descriptor: SharedDescriptor
    /// Speaks rtnetlink in the namespace, from any thread.
    let route: NetlinkSocket
    /// Whether interfaces made from now on have no IPv6; `nil` when the kernel has none at all.
    let ipv6Switch: SharedDescriptor?
    /// Whether interfaces made from now on announce their IPv4 addresses.
    let announceSwitch: SharedDescriptor
    /// The calling thread is in the namespace, and sees its kernel parameters.
    let isInside: Bool

    /// On a thread inside of the namespace. Interfaces that are made in it later announce their IPv6 addresses, and
    /// neither wait for duplicates of what the engine chose nor listen to router advertisements, which any container of
    /// a network can send.
    static func open(descriptor: SharedDescriptor, isInside: Bool) throws(NetworkError) -> NamespaceEntrance {
        let socket = try NetlinkSocket.make(.route)
        // Every namespace has a folder of this name, and the kernel finds the right one by walking through all that are
        // in use: once is enough.
        let folder = try system { () throws(SystemError) in try FileDescriptor.open("/proc/sys/net", O_PATH) }
        let root = "/proc/self/fd/\(folder.raw)"
        try system { () throws(SystemError) in
            guard FileSystem.exists("\(root)/ipv6") else { return }
            for (key, value) in [("ndisc_notify", 1), ("accept_dad", 0), ("accept_ra", 0)] {
                try SystemControls.write("\(root)/ipv6/conf/default/\(key)", value)
            }
        }
        let path = "\(root)/ipv6/conf/default/disable_ipv6"
        var ipv6Switch: SharedDescriptor?
        if FileSystem.exists(path) {
            ipv6Switch = try system { () throws(SystemError) in
                SharedDescriptor(try FileDescriptor.open(path, O_WRONLY))
            }
        }
        let announceSwitch = try system { () throws(SystemError) in
            SharedDescriptor(try FileDescriptor.open("\(root)/ipv4/conf/default/arp_notify", O_WRONLY))
        }
        return NamespaceEntrance(
            descriptor: descriptor, route: socket, ipv6Switch: ipv6Switch, announceSwitch: announceSwitch,
            isInside: isInside)
    }

    /// What `body` makes is born without IPv6 when it has no such address, so that none of it has to be taken away
    /// again, and announces its addresses when neighbours may expect others. Interfaces that the container makes are
    /// its own affair.
    func birth<Value>(
        of spec: InterfaceSpec, _ body: () throws(NetworkError) -> Value
    ) throws(NetworkError) -> Value {
        var switches: [SharedDescriptor] = []
        if let ipv6Switch, spec.address6 == nil { switches.append(ipv6Switch) }
        if spec.mayBeUnexpected { switches.append(announceSwitch) }
        for descriptor in switches { try write(descriptor, "1") }
        let result: Result<Value, NetworkError>
        do {
            result = .success(try body())
        } catch {
            result = .failure(error)
        }
        for descriptor in switches { try write(descriptor, "0") }
        return try result.get()
    }

    /// At the start of the file: a parameter takes nothing anywhere else.
    private func write(_ descriptor: SharedDescriptor, _ text: String) throws(NetworkError) {
        var byte = text.utf8.first ?? 0
        let raw = descriptor.raw
        _ = try system { () throws(SystemError) in
            try check("pwrite", path: "/proc/sys/net") { pwrite(raw, &byte, 1, 0) }
        }
    }
}
