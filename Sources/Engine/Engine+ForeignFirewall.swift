import ContainerNetwork
import Logging
import Netlink
import StackModel

/// Other firewalls of the host: what a chain of theirs drops is dropped, whatever ours says. Nothing of theirs is
/// changed unless the engine was started to do so.
extension Engine {
    /// For networks that come and go. What others change is told by the kernel: `networkChanged`.
    func lookAround(_ bridges: [BridgeSpec]) async {
        guard bridges != endpoints.lookedAtBridges else { return }
        endpoints.lookedAtBridges = bridges
        settingsWatch?.setBridges(bridges.map(\.bridge))
        await lookAtForeignFirewalls()
    }

    /// Costs one question to the kernel as long as nobody has changed the rule set.
    func lookAtForeignFirewalls() async {
        let opens = options.allowsThroughFirewalls && options.rootless == nil
        do throws(EngineError) {
            let (blocks, refusals) = try await onNetwork { network throws(NetworkError) in
                var blocks = try network.foreignForwardBlocks()
                guard opens else { return (blocks, [String]()) }
                let refusals = try network.openForeignFirewalls().map { "\($0.chain): \($0.error)" }
                blocks = try network.foreignForwardBlocks()
                return (blocks, refusals)
            }
            noteForwardBlocks(blocks)
            for refusal in refusals { log.warning("firewall not opened", metadata: ["chain": "\(refusal)"]) }
        } catch {
            log.warning("other firewalls not read", metadata: ["error": "\(error)"])
        }
    }

    private func noteForwardBlocks(_ blocks: [ForwardBlock]) {
        guard blocks != endpoints.forwardBlocks else { return }
        endpoints.forwardBlocks = blocks
        for block in blocks { log.warning("\(blockedDiagnostic(block).message)") }
        if blocks.isEmpty { log.info("no other firewall blocks a network any more") }
    }

    /// At the engine's start and end: rules that an engine before this one left, and those of this one.
    func closeForeignFirewalls() {
        guard options.rootless == nil else { return }
        do throws(NetworkError) { try network.closeForeignFirewalls() } catch {
            log.warning("rules in other firewalls not removed", metadata: ["error": "\(error)"])
        }
    }

    /// What to tell who brings a stack up.
    func forwardWarnings(_ stack: String) -> [Diagnostic] {
        let own = Set(networks.values.filter { $0.stackName == stack }.map(\.name))
        return endpoints.forwardBlocks.filter { !own.isDisjoint(with: $0.networks) }.map { block in
            var mine = block
            mine.networks = block.networks.filter(own.contains)
            return blockedDiagnostic(mine)
        }
    }

    private func blockedDiagnostic(_ block: ForwardBlock) -> Diagnostic {
        let names = block.networks.joined(separator: ", ")
        let of = block.networks.count == 1 ? "network \(names)" : "networks \(names)"
        let effect =
            switch (block.directions.contains(.out), block.directions.contains(.in)) {
            case (true, true):
                "containers on \(of) have no way out, and their published ports are not reached from other hosts"
            case (true, false): "containers on \(of) have no way out"
            default: "published ports of containers on \(of) are not reached from other hosts"
            }
        let owner = block.managers.map(\.title).joined(separator: " / ")
        return Diagnostic(
            .warning, code: "network.blocked",
            "the chain \(block.chain) of table \(block.family) \(block.table) (\(owner)) drops what it does not know: "
                + effect,
            hint: "`gantry doctor` says which command lets them through; "
                + "`gantry engine --allow-through-firewalls` does it by itself")
    }
}
