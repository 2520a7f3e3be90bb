import Glibc
import InternetAddress
import LinuxSystem
import Netlink
import Synchronization

extension NetworkManager {
    /// Transactions that lose against a concurrent change of the rule set are tried again this often.
    private static let attemptCountMax = 8

    /// Makes the table say `state`, and gives the bridges its virtual addresses. All of a change of the table takes
    /// effect at once: by its elements alone when the table is as we left it, else by putting a whole new table in the
    /// place of what is there.
    ///
    /// - Throws: `conflictingPorts`, `conflictingAddresses` before anything is changed.
    public func applyFirewall(_ state: FirewallState) throws(NetworkError) { try applyFirewall { _ in state } }

    /// Applies once more what was applied last, if anything was: after something else that goes into the table changed.
    func reapplyFirewall() throws(NetworkError) { try applyFirewall { $0?.model.input.state } }

    private func applyFirewall(_ choose: (AppliedFirewall?) -> FirewallState?) throws(NetworkError) {
        let stale = try firewall.withLock { applied throws(NetworkError) in
            guard let state = choose(applied) else { return Set<StaleConnections>() }
            let virtualBefore = applied?.model.input.state.virtualAddresses
            let bridgesBefore = applied?.model.input.state.bridges
            let stale = try applyRepeatedly(state, &applied)
            if virtualBefore != state.virtualAddresses || bridgesBefore != state.bridges {
                try ensureVirtualAddresses(state)
            }
            // Only now, with the firewall ready, may they forward.
            try switchForwarding(openedUplinks.withLock { $0 }, on: true)
            return stale
        }
        if !stale.isEmpty { try forget(stale) }
    }

    /// Takes away the chains of numbers of backends that no port has now: for when the changes are over.
    public func dropUnusedChains() throws(NetworkError) {
        try firewall.withLock { applied throws(NetworkError) in
            let generation = try netlink { () throws(NetlinkError) in try netfilter.firewallGeneration() }
            // What somebody else has changed is repaired, and tidied by that.
            guard var known = applied, known.generation == generation else { return }
            applied = nil
            let change = try known.model.change(to: known.model.input, unusedTurnCountMax: 0)
            if !change.isEmpty {
                known.generation = try send(change.messages(table: tableName), generation: generation)
                known.shape = try shapeAfterChange(generation: known.generation)
            }
            applied = known
        }
    }

    private func applyRepeatedly(
        _ state: FirewallState, _ applied: inout AppliedFirewall?
    ) throws(NetworkError) -> Set<StaleConnections> {
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

    private func applyOnce(
        _ state: FirewallState, _ applied: inout AppliedFirewall?
    ) throws(NetworkError) -> Set<StaleConnections> {
        let generation = try netlink { () throws(NetlinkError) in try netfilter.firewallGeneration() }
        guard var known = applied, known.generation == generation else {
            return try applyToUnknown(state, &applied, generation: generation)
        }
        // The only reference to what is changed in place; when the kernel refuses, nothing is known of the table.
        applied = nil
        let change: FirewallChange
        do throws(NetworkError) {
            change = try known.model.change(to: FirewallInput(state: state, opened: noteUplinks(OpenedUplinks())))
        } catch {
            applied = known
            throw error
        }
        if !change.isEmpty {
            known.generation = try send(change.messages(table: tableName), generation: generation)
            if change.changesChains { known.shape = try shapeAfterChange(generation: known.generation) }
        }
        applied = known
        return change.stale
    }

    /// Somebody else changed the rule set, or it is the first time: what is there is read.
    private func applyToUnknown(
        _ state: FirewallState, _ applied: inout AppliedFirewall?, generation: UInt32
    ) throws(NetworkError) -> Set<StaleConnections> {
        let (shape, present) = try netlink { () throws(NetlinkError) in
            let shape = try netfilter.shape(ofTable: tableName)
            let sets = FirewallTable.setNames.filter { shape.setNames.contains($0) }
            return (shape, try readElements(sets: sets))
        }
        let input = FirewallInput(state: state, opened: try noteUplinks(present.opened))
        if var known = applied, !shape.isEmpty, known.shape == shape {
            applied = nil
            var change: FirewallChange
            do throws(NetworkError) {
                change = try known.model.change(to: input)
            } catch {
                applied = known
                throw error
            }
            let wanted = known.model.elements
            change.gone = present.subtracting(wanted)
            change.new = wanted.subtracting(present)
            known.generation = generation
            if !change.isEmpty {
                known.generation = try send(change.messages(table: tableName), generation: generation)
                if change.changesChains { known.shape = try shapeAfterChange(generation: known.generation) }
            }
            applied = known
            return StaleConnections.all(from: present.groups, to: known.model.groups)
        }
        var model = FirewallModel(takingOver: present)
        try model.replace(by: input)
        applied = nil
        let table = FirewallTable.replacement(table: tableName, elements: model.elements, turns: model.turns)
        let next = try send(table, generation: generation)
        applied = AppliedFirewall(model: model, shape: try shapeAfterChange(generation: next), generation: next)
        return StaleConnections.all(from: present.groups, to: model.groups)
    }

    /// Sends the messages as one transaction; answers the generation after it.
    private func send(_ body: MessageBuilder, generation: UInt32) throws(NetworkError) -> UInt32 {
        let batch = body.asBatch(generation: generation)
        try netlink { () throws(NetlinkError) in try netfilter.transact(batch, operation: "change firewall table") }
        return generation == UInt32.max ? 1 : generation + 1
    }

    func readElements(sets: [String]) throws(NetlinkError) -> FirewallElements {
        var elements = FirewallElements()
        for set in sets { elements[set] = Set(try netfilter.elements(ofSet: set, table: tableName)) }
        return elements
    }

    /// The table as the kernel tells it, provided that nobody changed anything while it did: otherwise everything is
    /// made again.
    private func shapeAfterChange(generation: UInt32) throws(NetworkError) -> TableShape {
        try netlink { () throws(NetlinkError) in
            let shape = try netfilter.shape(ofTable: tableName)
            guard try netfilter.firewallGeneration() == generation else {
                throw .refused(operation: "read back firewall table", code: ERESTART, reason: nil)
            }
            return shape
        }
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
            if let state = applied?.model.input.state, !state.virtualAddresses.isEmpty {
                try ensureVirtualAddresses(FirewallState(bridges: state.bridges))
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

    // MARK: tracked connections

    /// Forgets every tracked connection that a container answers: when its addresses are taken away.
    public func forgetConnections(of addresses: [IPAddress]) throws(NetworkError) {
        try forget(addresses.map { ConntrackFilter(replySource: $0.bytes) })
    }

    private func forget(_ stale: Set<StaleConnections>) throws(NetworkError) {
        var known: [IPAddress]?
        func hostAddresses() throws(NetworkError) -> [IPAddress] {
            if let known { return known }
            let addresses = try netlink { () throws(NetlinkError) in
                try route.addresses(family: AF_INET) + (hasIPv6 ? try route.addresses(family: AF_INET6) : [])
            }.compactMap { IPAddress(bytes: $0.address) }
            known = addresses
            return addresses
        }
        var filters = Set<ConntrackFilter>()
        for entry in stale { filters.formUnion(try entry.filters(hostAddresses: try hostAddresses())) }
        try forget(Array(filters))
    }

    private func forget(_ filters: [ConntrackFilter]) throws(NetworkError) {
        for filter in filters {
            try netlink { () throws(NetlinkError) in
                try netfilter.forgetConnections(filter, operation: "forget connections")
            }
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
