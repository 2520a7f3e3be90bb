import CLinux
import Glibc
import InternetAddress
import LinuxSystem

@testable import ContainerNetwork

/// Both ends of an established TCP connection.
struct Connection: ~Copyable {
    let client: FileDescriptor
    let server: FileDescriptor
}

extension HostLab {
    private func boundDescriptor(inNamespace path: String, type: __socket_type, port: UInt16) throws -> SharedDescriptor
    {
        let raw: Int32 = try run {
            try withNetworkNamespace(path) { () throws(NetworkError) in
                try system { () throws(SystemError) in
                    try boundSocket(
                        domain: AF_INET, type: Int32(type.rawValue), address: .any, port: port, mayReuse: true
                    ).take()
                }
            }
        }
        return SharedDescriptor(FileDescriptor(owning: raw))
    }

    func datagramServer(_ name: String, inNamespace path: String, port: UInt16) throws -> Server {
        Server(name: name, socket: try boundDescriptor(inNamespace: path, type: SOCK_DGRAM, port: port))
    }

    /// A UDP socket with one source port and one destination.
    func datagramFlow(from path: String, to address: String, _ port: UInt16) throws -> SharedDescriptor {
        let socket = try boundDescriptor(inNamespace: path, type: SOCK_DGRAM, port: 5555)
        let target = IPv4Address(address)?.value.bigEndian ?? 0
        try check("connect") { gantry_connect_ipv4(socket.raw, target, port) }
        return socket
    }

    /// Sends a datagram and tells which server got it.
    func send(over flow: SharedDescriptor, _ servers: [Server]) throws -> String? {
        // The answer to an earlier one, a refusal, is taken off first: it would be the outcome of this call.
        var byte: UInt8 = 0
        _ = recv(flow.raw, &byte, 1, Int32(MSG_DONTWAIT))
        try check("send") { Glibc.send(flow.raw, &byte, 1, 0) }
        var entries = servers.map { pollfd(fd: $0.socket.raw, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, nfds_t(entries.count), 300) > 0 else { return nil }
        guard let index = entries.firstIndex(where: { $0.revents != 0 }) else { return nil }
        _ = recv(servers[index].socket.raw, &byte, 1, 0)
        return servers[index].name
    }

    func connection(from path: String, to address: String, _ port: UInt16, _ server: Server) throws -> Connection {
        let target = IPv4Address(address)?.value.bigEndian ?? 0
        let client: Int32 = try run {
            try withNetworkNamespace(path) { () throws(NetworkError) in
                try system { () throws(SystemError) in
                    let client = FileDescriptor(
                        owning: try check("socket") { socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0) })
                    var timeout = timeval(tv_sec: 2, tv_usec: 0)
                    let raw = client.raw
                    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
                        try check("setsockopt") {
                            setsockopt(raw, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
                        }
                    }
                    try check("connect") { gantry_connect_ipv4(raw, target, port) }
                    return client.take()
                }
            }
        }
        var peer: UInt32 = 0
        let accepted = try check("accept") { gantry_accept_ipv4(server.socket.raw, &peer) }
        return Connection(client: FileDescriptor(owning: client), server: FileDescriptor(owning: accepted))
    }
}
