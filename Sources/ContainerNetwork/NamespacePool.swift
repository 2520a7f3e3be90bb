import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink
import Synchronization

/// A network namespace with its loopback interface up, and what can only be opened from inside of it: a visit takes a
/// thread of its own.
struct ReadyNamespace: Sendable {
    let entrance: NamespaceEntrance
    /// Sockets for the names a container looks up.
    let resolver: ResolverSockets
}

/// A container's resolver: bound in its namespace, the second one listening too, so that nothing is refused before the
/// first accept.
public struct ResolverSockets: Sendable {
    /// Where containers ask: 127.0.0.11, as Docker has it.
    static let address = IPv4Address(value: 0x7f00_000b)
    static let port: UInt16 = 53

    public let udp: SharedDescriptor
    public let tcp: SharedDescriptor

    /// On a thread inside of the namespace.
    static func open() throws(SystemError) -> ResolverSockets {
        func socket(_ type: __socket_type) throws(SystemError) -> SharedDescriptor {
            SharedDescriptor(
                try boundSocket(
                    domain: AF_INET, type: Int32(type.rawValue), address: address, port: port, mayReuse: true))
        }
        return ResolverSockets(udp: try socket(SOCK_DGRAM), tcp: try socket(SOCK_STREAM))
    }
}

/// Network namespaces made ahead of time: making one is the largest single cost of a container's start (0.3 to 0.5 ms).
final class NamespacePool: Sendable {
    private struct State {
        var ready: [ReadyNamespace] = []
        var isFilling = false
    }

    private let countMax: Int
    private let state = Mutex(State())

    init(countMax: Int) { self.countMax = countMax }

    /// A ready one, or one made now.
    func take() throws(NetworkError) -> ReadyNamespace {
        let ready = state.withLock { $0.ready.popLast() }
        if countMax > 0 { try refill() }
        if let ready { return ready }
        return try onOwnThread(named: "netns-make", makeNetworkNamespace)
    }

    private func refill() throws(NetworkError) {
        let start = state.withLock { state in
            if state.isFilling || state.ready.count >= countMax { return false }
            state.isFilling = true
            return true
        }
        guard start else { return }
        do {
            try startDetachedThread(named: "netns-pool") { self.fill() }
        } catch {
            state.withLock { $0.isFilling = false }
            throw error
        }
    }

    /// On a thread of its own, which goes from one new namespace to the next.
    private func fill() {
        while true {
            // A failure here is met again, and reported, by the next take that finds the pool empty.
            guard let namespace = try? makeNetworkNamespace() else {
                state.withLock { $0.isFilling = false }
                return
            }
            let isFull = state.withLock { state in
                state.ready.append(namespace)
                if state.ready.count >= countMax { state.isFilling = false }
                return state.ready.count >= countMax
            }
            if isFull { return }
        }
    }
}

/// Moves the calling thread into a new network namespace, with its loopback interface up.
@Sendable
private func makeNetworkNamespace() throws(NetworkError) -> ReadyNamespace {
    let descriptor = try system { () throws(SystemError) in
        try check("unshare") { unshare(CLONE_NEWNET) }
        return SharedDescriptor(try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY))
    }
    let entrance = try NamespaceEntrance.open(descriptor: descriptor, isInside: false)
    try netlink { () throws(NetlinkError) in
        var request = MessageBuilder()
        request.setLink(.index(loopbackIndex), LinkChange(isUp: true))
        try entrance.route.transact(request, operation: "bring up lo")
    }
    let resolver = try system { () throws(SystemError) in try ResolverSockets.open() }
    return ReadyNamespace(entrance: entrance, resolver: resolver)
}

/// The loopback interface is the first of every namespace (`LOOPBACK_IFINDEX` in net/flow.h).
let loopbackIndex: Int32 = 1
