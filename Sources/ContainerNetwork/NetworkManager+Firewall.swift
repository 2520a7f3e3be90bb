import Glibc
import InternetAddress
import LinuxSystem
import Netlink
import Synchronization

extension NetworkManager {
    /// Transactions that lose against a concurrent change of the rule set are tried again this often.
    private static let attemptCountMax = 8

    /// Makes the table say `state`. All of a change takes effect at once: by its elements alone when the table is as we
    /// left it, else by putting a whole new table in the place of what is there.
    public func applyFirewall(_ state: FirewallState) throws(NetworkError) { try applyFirewall { _ in state } }

    /// Applies once more what was applied last, if anything was: after something else that goes into the table changed.
    func reapplyFirewall() throws(NetworkError) { try applyFirewall { $0?.state } }

    private func applyFirewall(_ choose: (AppliedFirewall?) -> FirewallState?) throws(NetworkError) {
        let stale = try firewall.withLock { applied throws(NetworkError) in
            guard let state = choose(applied) else { return [ConntrackFilter]() }
            let stale = try applyRepeatedly(state, &applied)
            // Only now, with the firewall ready, may they forward.
            try switchForwarding(openedUplinks.withLock { $0 }, on: true)
            return stale
        }
        try forget(stale)
    }

    private func applyRepeatedly(
        _ state: FirewallState, _ applied: inout AppliedFirewall?
    ) throws(NetworkError) -> [ConntrackFilter] {
        var failure = NetlinkError.dumpInterrupted(operation: "change firewall table")
        for _ in 0..<Self.attemptCountMax {
            do throws(NetworkError) {
                return try applyOnce(state, &applied)
            } catch {
                // ERESTART: the generation is another than the one the difference was made for.
                guard case .netlink(let cause) = error, cause.code == ERESTART else { throw error }
                failure = cause
            }
        }
        throw .netlink(failure)
    }

    /// Forgets every tracked connection that a container answers: when its address is taken away.
    public func forgetConnections(of addresses: [IPv4Address]) throws(NetworkError) {
        try forget(addresses.map { ConntrackFilter(replySource: $0.bytes) })
    }

    /// Removes the table; one that is not there is no error. Interfaces that forward because of us stop, unless another
    /// engine's bridges need them too.
    public func removeFirewall() throws(NetworkError) {
        try firewall.withLock { applied throws(NetworkError) in
            let opened = openedUplinks.withLock { $0 }
            let links = try netlink { () throws(NetlinkError) in try route.links() }
            if !links.contains(where: { isGantryBridge($0) && !isOwn($0) }) {
                try switchForwarding(opened, on: false)
                openedUplinks.withLock { $0 = OpenedUplinks() }
            }
            var batch = MessageBuilder()
            batch.beginBatch(generation: nil)
            batch.newTable(tableName)
            batch.deleteTable(tableName)
            batch.endBatch()
            try netlink { () throws(NetlinkError) in try netfilter.transact(batch, operation: "remove firewall table") }
            applied = nil
        }
    }

    private func forget(_ filters: [ConntrackFilter]) throws(NetworkError) {
        for filter in filters {
            var request = MessageBuilder()
            request.deleteConnections(filter)
            do {
                try netfilter.transact(request, operation: "forget connections")
            } catch {
                // Nothing is tracked.
                if error.code != ENOENT { throw .netlink(error) }
            }
        }
    }

    private func applyOnce(
        _ state: FirewallState, _ applied: inout AppliedFirewall?
    ) throws(NetworkError) -> [ConntrackFilter] {
        let generation = try netlink { () throws(NetlinkError) in try netfilter.firewallGeneration() }
        let present = try presentElements(applied, generation: generation)
        let wanted = try FirewallElements(state, opened: try noteUplinks(present.elements.opened))
        let body =
            present.isOurs
            ? present.elements.changes(to: wanted, table: tableName)
            : FirewallTable.replacement(table: tableName, elements: wanted)
        if !body.isEmpty {
            applied = nil
            let batch = body.asBatch(generation: generation)
            try netlink { () throws(NetlinkError) in try netfilter.transact(batch, operation: "change firewall table") }
        }
        let next = body.isEmpty ? generation : (generation == UInt32.max ? 1 : generation + 1)
        let shape: TableShape
        if present.isOurs, let known = present.shape {
            shape = known
        } else {
            shape = try shapeAfterReplacement(generation: next)
        }
        applied = AppliedFirewall(
            state: state, elements: wanted, shape: shape, generation: next)
        return StaleConnections.filters(from: present.elements, to: wanted)
    }

    private struct Present {
        var elements: FirewallElements
        var shape: TableShape?
        /// The table is one of ours and as we left it but for elements.
        var isOurs: Bool
    }

    /// What is in the kernel now: known without a look when nobody changed anything since our last transaction.
    private func presentElements(
        _ applied: AppliedFirewall?, generation: UInt32
    ) throws(NetworkError) -> Present {
        if let applied, applied.generation == generation {
            return Present(elements: applied.elements, shape: applied.shape, isOurs: true)
        }
        return try netlink { () throws(NetlinkError) in
            let shape = try netfilter.shape(ofTable: tableName)
            guard !shape.isEmpty else { return Present(elements: FirewallElements(), shape: nil, isOurs: false) }
            let isOurs = applied?.shape == shape
            let elements = try readElements(sets: FirewallTable.sets.map(\.name).filter { shape.setNames.contains($0) })
            return Present(elements: elements, shape: isOurs ? shape : nil, isOurs: isOurs)
        }
    }

    func readElements(sets: [String]) throws(NetlinkError) -> FirewallElements {
        var elements = FirewallElements()
        for set in sets { elements[set] = Set(try netfilter.elements(ofSet: set, table: tableName)) }
        return elements
    }

    /// The table as the kernel tells it, provided that nobody changed anything while it did: otherwise everything is
    /// made again.
    private func shapeAfterReplacement(generation: UInt32) throws(NetworkError) -> TableShape {
        try netlink { () throws(NetlinkError) in
            let shape = try netfilter.shape(ofTable: tableName)
            guard try netfilter.firewallGeneration() == generation else {
                throw .refused(operation: "read back firewall table", code: ERESTART, reason: nil)
            }
            return shape
        }
    }
}

extension MessageBuilder {
    /// These messages as one transaction, refused when the rule set's generation is another.
    func asBatch(generation: UInt32) -> MessageBuilder {
        var batch = MessageBuilder()
        batch.beginBatch(generation: generation)
        batch.append(messagesOf: self)
        batch.endBatch()
        return batch
    }
}
