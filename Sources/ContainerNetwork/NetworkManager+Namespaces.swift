import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

extension NetworkManager {
    /// Where the namespace of `id` is or would be pinned.
    public func namespacePath(id: String) throws(NetworkError) -> String {
        let idByteCountMax = 128
        guard !id.isEmpty, id.utf8.count <= idByteCountMax, id.utf8.first != UInt8(ascii: "."),
            !id.utf8.contains(UInt8(ascii: "/")), !id.utf8.contains(0)
        else { throw .invalidName(id) }
        return "\(namespaceDirectory)/\(id)"
    }

    /// Makes a network namespace with its loopback interface up and pins it; answers its path. One that is there stays.
    public func makeNamespace(id: String) throws(NetworkError) -> String {
        let path = try namespacePath(id: id)
        if try !isNamespace(path) { try pin(pool.take(), at: path) }
        return path
    }

    /// Makes a namespace with its interfaces, or puts right what is there of it; answers sockets for its resolver if
    /// they are wanted. A namespace made now has them already, and answers them in any case: those of one before it
    /// are of no use.
    public func prepare(
        id: String, _ interfaces: [InterfaceSpec], opensResolver: Bool
    ) throws(NetworkError) -> ResolverSockets? {
        let path = try namespacePath(id: id)
        guard try !isNamespace(path) else {
            try attach(namespaceID: id, interfaces)
            return opensResolver ? try openResolver(id: id) : nil
        }
        let namespace = try pool.take()
        try pin(namespace, at: path)
        if interfaces.contains(where: { !$0.parameters.isEmpty }) {
            // Those can only be set from inside.
            try attach(namespaceID: id, interfaces)
        } else {
            try attach(interfaces, to: namespace.entrance)
        }
        return namespace.resolver
    }

    /// Sockets for the names that a container looks up.
    public func openResolver(id: String) throws(NetworkError) -> ResolverSockets {
        try withNetworkNamespace(try namespacePath(id: id)) { () throws(NetworkError) in
            try system { () throws(SystemError) in try ResolverSockets.open() }
        }
    }

    private func pin(_ namespace: ReadyNamespace, at path: String) throws(NetworkError) {
        let source = "/proc/self/fd/\(namespace.entrance.descriptor.raw)"
        try system { () throws(SystemError) in
            _ = try FileDescriptor.open(path, O_RDONLY | O_CREAT, mode: 0o400)
            do throws(SystemError) {
                try check("mount", path: path) { mount(source, path, nil, UInt(MS_BIND), nil) }
            } catch {
                unlink(path)  // Best effort: the error that matters is the one on its way out.
                throw error
            }
        }
    }

    /// Unpins a namespace. The kernel removes it, with the veth pairs in it, when its last process and socket are gone.
    public func removeNamespace(id: String) throws(NetworkError) {
        let path = try namespacePath(id: id)
        let unmounted = umount2(path, Int32(MNT_DETACH | UMOUNT_NOFOLLOW))
        // EINVAL: a file on which nothing is mounted.
        guard unmounted == 0 || errno == EINVAL || errno == ENOENT else {
            throw .system(SystemError("umount2", path: path, code: errno))
        }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw .system(SystemError("unlink", path: path, code: errno))
        }
    }

    /// Ids of the namespaces that are pinned, sorted.
    public func namespaces() throws(NetworkError) -> [String] {
        let names = try system { () throws(SystemError) in try FileSystem.list(namespaceDirectory) }
        var ids: [String] = []
        for name in names where try isNamespace("\(namespaceDirectory)/\(name)") { ids.append(name) }
        return ids
    }

    /// Makes a close-on-exec IPv4 socket inside of a namespace, bound to `bindAddress:port`. A stream socket is made to
    /// listen, so that no connection is refused between here and the first accept.
    public func openSocket(
        inNamespace path: String, domain: Int32 = AF_INET, type: Int32, bindAddress: IPv4Address, port: UInt16
    ) throws(NetworkError) -> FileDescriptor {
        let raw = try withNetworkNamespace(path) { () throws(NetworkError) in
            try system { () throws(SystemError) in
                try boundSocket(domain: domain, type: type, address: bindAddress, port: port, mayReuse: true).take()
            }
        }
        return FileDescriptor(owning: raw)
    }

    private func isNamespace(_ path: String) throws(NetworkError) -> Bool {
        var status = statfs()
        if statfs(path, &status) == 0 { return Int(status.f_type) == namespaceFileSystemMagic }
        if errno == ENOENT { return false }
        throw .system(SystemError("statfs", path: path, code: errno))
    }
}

/// `NSFS_MAGIC` of <linux/magic.h>.
private let namespaceFileSystemMagic = 0x6e73_6673

/// Connections that wait to be accepted.
private let listenBacklogCount: Int32 = 128

/// `mayReuse`: `SO_REUSEADDR`, and a stream socket listens; without, the socket only holds its port.
func boundSocket(
    domain: Int32, type: Int32, address: IPv4Address, port: UInt16, mayReuse: Bool, protocolNumber: Int32 = 0
) throws(SystemError) -> FileDescriptor {
    let descriptor = FileDescriptor(owning: try check("socket") { socket(domain, type | O_CLOEXEC, protocolNumber) })
    let raw = descriptor.raw
    if mayReuse {
        var one: Int32 = 1
        try check("setsockopt") { setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size)) }
    }
    try check("bind", path: "\(address):\(port)") { gantry_bind_ipv4(raw, address.value.bigEndian, port) }
    if mayReuse, type & 0xf == Int32(SOCK_STREAM.rawValue) {
        try check("listen") { listen(raw, listenBacklogCount) }
    }
    return descriptor
}
