import ContainerNetwork
import EngineWire
import Images
import Logging
import Reconciler
import StackModel

/// `gantry drift`, and the memory of what was seen when. What to do about it, plans decide.
extension Engine {
    /// Looks at everything of a stack and tells what is not as it was applied. Nothing is changed.
    public func drift(_ name: String, _ request: DriftRequest) async throws(EngineError) -> EngineWire.DriftReport {
        guard let record = stacks[name]?.record, record.active else { throw .stackNotFound(name) }
        for service in request.services where record.stack.services[service] == nil {
            throw .badRequest("no such service: \(service)")
        }
        await lookAtAll(of: name)
        let observed = await observe(name)
        var facts = driftFacts(record)
        facts.host = await hostFacts()
        facts.file = request.stack.map(bindingPorts)
        if request.deep { facts.inside = await lookInsideContainers(name, request.services) }
        let entries = Reconciler.drift(desired: driftDesired(record), observed: observed, facts: facts)
        let known = noteDrift(name, entries)
        let wanted = Set(request.services)
        return EngineWire.DriftReport(
            stack: name,
            entries: entries.filter { wanted.isEmpty || $0.service.map(wanted.contains) ?? false }.map { entry in
                let since = known[DriftKey(address: entry.address, kind: entry.kind)] ?? observed.at
                return EngineWire.DriftEntry(
                    address: entry.address, class: entry.kind, detail: entry.detail, policy: entry.policy,
                    repair: entry.repair, since: rfc3339(since), source: entry.source)
            }, repaired: stacks[name]?.recentRepairs(now: Clock.now()) ?? [])
    }

    func driftDesired(_ record: StackRecord) -> DesiredState { desiredState(record, mode: .maintain) }

    /// What is known without looking into containers.
    private func driftFacts(_ record: StackRecord) -> DriftFacts {
        var facts = DriftFacts()
        let name = record.stack.name
        for (service, definition) in record.stack.services {
            // An image that has been removed leads nowhere else.
            facts.imageIDs[service] = try? images.image(definition.image).id.description
        }
        facts.content = drift.content[name] ?? []
        facts.foreign = foreignObjects(record)
        return facts
    }

    private func hostFacts() async -> [DriftFacts.Object] {
        do throws(EngineError) {
            let closed = try await onNetwork { network throws(NetworkError) in try network.closedAgain() }
            return closed.map { name in
                DriftFacts.Object(address: "host", detail: "forwarding of interface \(name) is switched off")
            }
        } catch {
            log.warning("host not looked at", metadata: ["error": "\(error)"])
            return []
        }
    }

    /// What others have on a network of the stack, or under a name that the stack wants.
    private func foreignObjects(_ record: StackRecord) -> [DriftFacts.Object] {
        let stack = record.stack
        var found: [DriftFacts.Object] = []
        for key in stack.networks.keys.sorted() {
            guard stack.networks[key]?.external != true, let network = networks[stack.networkName(key)] else {
                continue
            }
            for user in users(ofNetwork: network.name) where user.stackName != stack.name {
                found.append(
                    DriftFacts.Object(address: "networks.\(key)", detail: "container \(user.name) is on it"))
            }
            for port in drift.foreignPorts[network.bridge.bridge] ?? [] {
                found.append(
                    DriftFacts.Object(address: "networks.\(key)", detail: "interface \(port) is plugged into it"))
            }
        }
        for (service, definition) in stack.services.sorted(by: { $0.key < $1.key }) {
            for number in 1...max(1, record.scale[service] ?? definition.replicas) {
                let name = stack.containerName(service: service, number: number)
                guard let id = containerIDs[name], let other = containers[id]?.stored,
                    other.stackName != stack.name || other.service != service
                else { continue }
                found.append(
                    DriftFacts.Object(
                        address: "services.\(service)[\(number)]",
                        detail: "the name \(name) is that of another container, \(other.shortID)"))
            }
        }
        for block in endpoints.forwardBlocks {
            let own = Set(networks.values.filter { $0.stackName == stack.name }.map(\.name))
            guard !own.isDisjoint(with: block.networks) else { continue }
            found.append(
                DriftFacts.Object(
                    address: "host",
                    detail: "the chain \(block.chain) of table \(block.family) \(block.table) blocks networks of it"))
        }
        return found
    }

    /// Remembers when each was seen first, and says so once in the log where nobody repairs it.
    @discardableResult
    func noteDrift(_ name: String, _ entries: [Reconciler.DriftEntry]) -> [DriftKey: Nanoseconds] {
        let before = drift.known[name] ?? [:]
        var known: [DriftKey: Nanoseconds] = [:]
        for entry in entries {
            let key = DriftKey(address: entry.address, kind: entry.kind)
            guard known[key] == nil else { continue }
            known[key] = before[key] ?? Clock.now()
            if before[key] == nil { counters.driftFound[entry.kind, default: 0] += 1 }
            guard before[key] == nil, entry.policy == .warn, entry.kind != .stack, entry.kind != .inside else {
                continue
            }
            log.warning(
                "drift",
                metadata: [
                    "stack": "\(name)", "address": "\(entry.address)", "class": "\(entry.kind.rawValue)",
                    "detail": "\(entry.detail)",
                ])
        }
        drift.known[name] = known.isEmpty ? nil : known
        return known
    }

    /// As the background loop does it, with what it has in its hands.
    func noteDrift(_ name: String, _ work: Work, _ observed: ObservedState) {
        guard case .keep(let desired) = work else { return }
        var facts = DriftFacts()
        facts.content = drift.content[name] ?? []
        let entries = Reconciler.drift(desired: desired, observed: observed, facts: facts)
        // What only a report looks at keeps its time.
        let loops: Set<DriftClass> = [.image, .stack, .foreign, .inside]
        let kept = (drift.known[name] ?? [:]).filter { loops.contains($0.key.kind) }
        noteDrift(name, entries)
        if !kept.isEmpty { drift.known[name, default: [:]].merge(kept) { own, _ in own } }
    }
}

extension Reconciler.DriftEntry {
    /// `services.web[1]` is of `web`.
    fileprivate var service: String? {
        guard address.hasPrefix("services.") else { return nil }
        return String(address.dropFirst("services.".count).prefix { $0 != "[" })
    }
}
