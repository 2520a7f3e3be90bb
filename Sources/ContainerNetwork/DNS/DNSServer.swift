import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// The DNS server that containers find at 127.0.0.11. One thread serves them all, each on a pair of sockets that was
/// bound inside the container's network namespace: the socket says who asks. Names are answered from memory; what is
/// not known goes to the host's servers (or the zone's own) from the namespace of the thread that calls `start`.
public final class DNSServer: Sendable {
    private enum Phase { case new, running, stopped }

    private let resolvConfPath: String
    private let registry: DNSRegistry
    private let ended: SharedDescriptor
    private let phase = Mutex(Phase.new)

    public init(resolvConfPath: String = "/etc/resolv.conf") throws(SystemError) {
        self.resolvConfPath = resolvConfPath
        registry = try DNSRegistry()
        ended = SharedDescriptor(FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC)) }))
    }

    /// Starts the thread. A second call does nothing.
    public func start() throws(SystemError) {
        let isNew = phase.withLock { phase in
            defer { if phase == .new { phase = .running } }
            return phase == .new
        }
        guard isNew else { return }
        let (registry, path, ended) = (registry, resolvConfPath, ended)
        do {
            try NamedThread.start("gantry-dns") {
                DNSLoop(registry: registry, resolvConfPath: path).run()
                eventfd_write(ended.raw, 1)
            }
        } catch {
            phase.withLock { $0 = .new }
            throw error
        }
    }

    /// Closes every socket and ends the thread; returns when that is done. The server cannot be started again.
    public func stop() {
        let wasRunning = phase.withLock { phase in
            defer { phase = .stopped }
            return phase == .running
        }
        registry.stop()
        guard wasRunning else { return }
        var count: eventfd_t = 0
        while eventfd_read(ended.raw, &count) != 0, errno == EINTR {}
    }

    /// Serves a container on a bound UDP socket and a listening TCP socket of its namespace, which are closed by
    /// `remove`. Until `update` gave it a zone its questions are answered SERVFAIL. A scope that is there is replaced.
    public func add(
        scope: String, udp: consuming FileDescriptor, tcp: consuming FileDescriptor
    ) throws(SystemError) {
        try registry.add(scope: scope, udp: SharedDescriptor(udp), tcp: SharedDescriptor(tcp))
    }

    /// Ends the service of a container: sockets, connections, questions under way, and its zone.
    public func remove(scope: String) { registry.remove(scope: scope) }

    /// Replaces a container's names at once: a question that arrives after this returned is answered by them.
    public func update(scope: String, zone: DNSZone) { update(scopes: [scope], zone: zone) }

    /// The same for containers that can look up the same names.
    public func update(scopes: [String], zone: DNSZone) { registry.update(scopes: scopes, zone: zone) }

    /// Containers that are served, sorted.
    public func scopes() -> [String] { registry.scopes }

    /// Whether a container is served.
    public func serves(scope: String) -> Bool { registry.serves(scope: scope) }
}
