import Synchronization

/// Who has how many connections and streams, so that nobody takes them all.
final class PeerLedger: Sendable {
    /// Another end: a user of this machine, or an address.
    enum Peer: Hashable, Sendable {
        case user(UInt32)
        case address(String)
    }

    private struct Counts {
        var connections = 0
        var streams = 0
    }

    private let limits: HTTPConnectionLimits
    private let counts = Mutex<[Peer: Counts]>([:])

    init(_ limits: HTTPConnectionLimits) { self.limits = limits }

    /// `false`: it has too many already. Then nothing is to be given back.
    func addConnection(_ peer: Peer) -> Bool {
        counts.withLock { counts in
            guard counts[peer, default: Counts()].connections < limits.connectionsPerPeerMax else { return false }
            counts[peer, default: Counts()].connections += 1
            return true
        }
    }

    func removeConnection(_ peer: Peer) {
        counts.withLock { counts in
            counts[peer]?.connections -= 1
            if counts[peer]?.connections ?? 0 <= 0 { counts[peer] = nil }
        }
    }

    /// A stream belongs to a connection, and ends before it.
    func addStream(_ peer: Peer) -> Bool {
        counts.withLock { counts in
            guard counts[peer, default: Counts()].streams < limits.streamsPerPeerMax else { return false }
            counts[peer]?.streams += 1
            return true
        }
    }

    func removeStream(_ peer: Peer) { counts.withLock { $0[peer]?.streams -= 1 } }
}
