import ContainerNetwork
import ContainerRuntime
import Images
import Logging
import Reconciler
import StackModel

/// Changes that a container need not be replaced for: it runs on.
extension Engine {
    /// How long the command of `x-gantry.reload` may take.
    private static let reloadPatience: Int64 = 30_000
    private static let reloadOutputBytesMax = 4096

    /// Makes a container like its service's present definition in all that can change under it, and notes that. What is
    /// done already is left as it is, so a second time finishes what a first one began.
    ///
    /// - Returns: what could not be done as it was asked for.
    func updateContainer(_ id: String, _ record: StackRecord) async throws(EngineError) -> [String] {
        guard let stored = containers[id]?.stored,
            let wanted = ContainerDefinition(
                stack: record.stack, service: stored.service, imageID: stored.definition.imageID)
        else { return [] }
        try markUpdating(id)
        var warnings: [String] = []
        if containers[id]?.process != nil { warnings += try await updateLimits(stored, wanted) }
        try await updateNetworks(stored, wanted)
        try updatePorts(id, wanted, record)
        if containers[id]?.process != nil { warnings += try await reload(stored, wanted) }
        try noteDefinition(id, wanted)
        // Its news may have been read before the record said so.
        await look(at: [id])
        if wanted.service.healthcheck != stored.definition.service.healthcheck { followHealthcheck(id) }
        await refreshEndpoints()
        return warnings
    }

    /// From here on nobody knows which half is done, not even when the definition is taken back.
    private func markUpdating(_ id: String) throws(EngineError) {
        guard var stored = containers[id]?.stored, stored.isUpdating != true else { return }
        stored.isUpdating = true
        try save(stored)
        containers[id]?.stored.isUpdating = true
    }

    private func noteDefinition(_ id: String, _ definition: ContainerDefinition) throws(EngineError) {
        guard var container = containers[id] else { return }
        let old = container.stored.definition.service.labels
        container.stored.definition = definition
        container.stored.isUpdating = nil
        let own = imageDefaults(container.stored)?.labels ?? [:]
        for key in old.keys where definition.service.labels[key] == nil { container.stored.labels[key] = own[key] }
        container.stored.labels.merge(definition.service.labels) { _, new in new }
        container.stored.labels[ComposeLabel.configHash] = try configHash(of: definition.service)
        try save(container.stored)
        containers[id] = container
    }

    // MARK: Limits

    private func updateLimits(
        _ stored: StoredContainer, _ wanted: ContainerDefinition
    ) async throws(EngineError) -> [String] {
        let (old, new) = (stored.definition.service, wanted.service)
        // After an update that was cut off, all that there may be is lifted.
        let isUnsure = stored.isUpdating == true
        guard isUnsure || old.resources != new.resources || old.oomKillDisable != new.oomKillDisable else { return [] }
        var changed = stored
        changed.definition.service.resources = new.resources.lifting(isUnsure ? nil : old.resources)
        changed.definition.service.oomKillDisable = new.oomKillDisable
        var limits = try launchBuilder(changed, defaults: nil).resources(RuntimeSpec.Resources())
        if isUnsure || old.oomKillDisable == true, new.oomKillDisable != true {
            limits.memory = limits.memory ?? RuntimeSpec.Resources.Memory()
            limits.memory?.disableOOMKiller = false
        }
        let (folder, target) = (options.containerRun(stored.id), limits)
        return try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
            try runtime.update(directory: folder, target)
        }
    }

    // MARK: Networks

    private func updateNetworks(_ stored: StoredContainer, _ wanted: ContainerDefinition) async throws(EngineError) {
        guard usesOwnNamespace(stored), wanted.service.networkMode == nil else { return }
        let (old, new) = (stored.definition.attachments, wanted.attachments)
        let leaving = stored.attachments.filter { attachment in
            guard attachment.byHand == nil else { return false }
            guard let target = new[attachment.network] else { return true }
            return old[attachment.network].map { !$0.isPluggedAs(target) } ?? false
        }
        var attachments = stored.attachments.filter { !leaving.contains($0) }
        let arriving = new.filter { network, _ in !attachments.contains { $0.network == network } }
        let reserved = Set(arriving.values.compactMap(\.interfaceName))
        let ordered = arriving.sorted { left, right in
            let (first, second) = (left.value.priority ?? 0, right.value.priority ?? 0)
            return first == second ? left.key < right.key : first > second
        }
        var made: [StoredContainer.Attachment] = []
        do throws(EngineError) {
            // Before anything is unplugged: what cannot be had leaves the container as it was.
            for (network, target) in ordered {
                made.append(
                    try attachment(
                        target, to: network, id: stored.id, others: attachments + made, reserved: reserved))
            }
            attachments += made
            routeDefaults(of: &attachments, new.merging(stored.byHandAttachments) { _, byHand in byHand })
            guard attachments != stored.attachments else { return }
            if !leaving.isEmpty { try await unplug(stored.id, leaving) }
            try await setAttachments(attachments, of: stored.id)
        } catch {
            for attachment in made { freeAddresses(attachment) }
            if let present = containers[stored.id]?.stored { await restoreAttachments(present) }
            throw error
        }
    }

    // MARK: Ports

    /// The map of the host's ports follows from the definition; only ports that the host chooses are taken here.
    private func updatePorts(
        _ id: String, _ wanted: ContainerDefinition, _ record: StackRecord
    ) throws(EngineError) {
        guard let stored = containers[id]?.stored, stored.definition.service.ports != wanted.service.ports else {
            return
        }
        let kept = stored.chosenPorts.filter { wanted.service.ports.contains($0.port) }
        var service = wanted.service
        service.ports.removeAll { port in kept.contains { $0.port == port } }
        let chosen = kept + (try choosePorts(service, stack: stored.stackName))
        for port in stored.chosenPorts where !kept.contains(port) { releasePort(port) }
        containers[id]?.stored.chosenPorts = chosen
    }

    // MARK: Configs and secrets

    /// Writes new content of configs and secrets in place, and tells the service.
    private func reload(
        _ stored: StoredContainer, _ wanted: ContainerDefinition
    ) async throws(EngineError) -> [String] {
        var changed = stored
        changed.definition = wanted
        let old = Set(stored.isUpdating == true ? [] : try injectedFiles(stored).map(\.bytesAtPath))
        let files = try injectedFiles(changed).filter { !old.contains($0.bytesAtPath) }
        guard !files.isEmpty, let reload = wanted.service.gantry?.reload else { return [] }
        let folder = options.containerRun(stored.id)
        try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
            try runtime.replaceFiles(directory: folder, files)
        }
        announce(stored, "reload")
        switch reload {
        case .signal(let name):
            try await send(try signalNumber(name), to: stored.id)
            return []
        case .command(let command):
            let request = try execRequest(stored, command: command)
            let (patience, outputMax) = (Self.reloadPatience, Self.reloadOutputBytesMax)
            let result = try await onRuntime(of: stored.name, on: streams) { runtime throws(RuntimeError) in
                try runtime.execute(request).collect(timeoutMilliseconds: patience, outputMax: outputMax)
            }
            if result.exitCode == 0 { return [] }
            let end = result.exitCode.map { "ended with \($0)" } ?? "did not end in time"
            let output = secretMask(of: stored.stackName).mask(String(decoding: result.output, as: UTF8.self))
            return ["its reload command \(end): \(output.suffix(500))"]
        }
    }
}

extension InjectedFile {
    fileprivate struct Content: Hashable {
        var path: String
        var bytes: [UInt8]
    }
    fileprivate var bytesAtPath: Content { Content(path: path, bytes: bytes) }
}

extension StoredContainer {
    /// By engine name of the network.
    fileprivate var byHandAttachments: [String: NetworkAttachment] {
        Dictionary(
            attachments.compactMap { attachment in attachment.byHand.map { (attachment.network, $0) } },
            uniquingKeysWith: { first, _ in first })
    }
}

extension NetworkAttachment {
    /// Both ask for the same interface; names and routes may differ.
    fileprivate func isPluggedAs(_ other: NetworkAttachment) -> Bool {
        var (left, right) = (self, other)
        (left.aliases, right.aliases) = ([], [])
        (left.priority, right.priority) = (nil, nil)
        (left.gatewayPriority, right.gatewayPriority) = (0, 0)
        return left == right
    }
}

extension Resources {
    /// With limits that `old` has (`nil`: that it may have) and these do not, said to be none: the kernel keeps what it
    /// is not told.
    fileprivate func lifting(_ old: Resources?) -> Resources {
        func had(_ limit: (Resources) -> Int64?) -> Bool { old.map { limit($0) != nil } ?? true }
        var limits = self
        if memory == nil, had(\.memory) { limits.memory = -1 }
        if memoryReservation == nil, had(\.memoryReservation) { limits.memoryReservation = -1 }
        if nanoCPUs == nil {
            if cpuQuota == nil, had(\.nanoCPUs) || had(\.cpuQuota) { limits.cpuQuota = -1 }
            if cpuPeriod == nil, had(\.nanoCPUs) || had(\.cpuPeriod) { limits.cpuPeriod = Self.periodDefault }
        }
        // Docker's zero is the default.
        if (cpuShares ?? 0) == 0, had(\.cpuShares) { limits.cpuShares = Self.sharesDefault }
        if pids == nil, had(\.pids) { limits.pids = -1 }
        return limits
    }

    /// Documentation/scheduler/sched-design-CFS.rst and sched-bwc.rst (microseconds).
    private static let sharesDefault: Int64 = 1024
    private static let periodDefault: Int64 = 100_000
}
