import ContainerNetwork
import Logging
import StackModel

/// What the kernel tells of the network.
extension Engine {
    /// Network news arrives in bursts; look once they have settled, so that a firewall reload is repaired once.
    func networkChanged(_ change: NetworkChange) async {
        log.debug("network changed", metadata: ["change": "\(change)"])
        if case .interfaceChanged(let host) = change { return interfaceChanged(host) }
        if change == .resync { lookSoon(at: Set(containers.keys)) }
        if change != .foreignTableChanged { networkChangeConcernsStacks = true }
        guard !networkChangePending else { return }
        networkChangePending = true
        do { try await Task.sleep(for: Self.networkSettleTime) } catch { return }
        networkChangePending = false
        await repairHostSettings()
        await lookAtBridges()
        settingsWatch?.setBridges(networks.values.filter(\.hasBridge).map(\.bridge.bridge))
        await lookAtForeignFirewalls()
        // The rules of others are none of what the stacks are made of.
        if change == .foreignTableChanged, !networkChangeConcernsStacks { return }
        networkChangeConcernsStacks = false
        for name in stacks.keys { noteChange(in: name) }
    }

    /// A default route may lead out through another interface now, or somebody has switched forwarding off: also the
    /// settings of bridges that are as they should be otherwise.
    private func repairHostSettings() async {
        let all = networks.values.filter(\.hasBridge)
        let repaired = all.filter { record in
            (stacks[record.stackName]?.record.stack.driftPolicy(.sysctl) ?? .repair) == .repair
        }
        guard !repaired.isEmpty else { return }
        let untouched = Set(all.map(\.bridge.bridge)).subtracting(repaired.map(\.bridge.bridge))
        do throws(EngineError) {
            let changed = try await onNetwork { network throws(NetworkError) in
                var changed: [StoredNetwork] = []
                for record in repaired {
                    if try network.hasChangedControls(record.bridge) { changed.append(record) }
                    try network.repairControls(of: record.bridge)
                }
                if repaired.contains(where: { !$0.bridge.isInternal }) { try network.openUplinks(untouched: untouched) }
                return changed
            }
            for record in changed {
                log.info("kernel parameters repaired", metadata: ["network": "\(record.name)"])
                stacks[record.stackName]?.noteRepair("\(record.name): kernel parameters of its bridge were changed")
            }
        } catch {
            log.warning("host settings not repaired", metadata: ["error": "\(error)"])
        }
    }

    private static let networkSettleTime = Duration.milliseconds(100)
}
