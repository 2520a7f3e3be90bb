import ContainerNetwork
import ContainerRuntime
import Images
import LinuxSystem
import Logging
import StackModel

/// What is different without root; see docs/rootless.md.
extension EngineOptions {
    var imageStoreOptions: ImageStoreOptions {
        var store = ImageStoreOptions()
        guard let rootless else { return store }
        store.overlayAttributes = .user
        store.skipsDevices = true
        store.ownsEverything = rootless.hasSingleID
        return store
    }

    func hostPortClient() throws(NetworkError) -> HostPortClient? {
        guard rootless != nil else { return nil }
        do throws(SystemError) {
            return try HostPortClient(path: RootlessFacts.socketPath(execRoot: execRoot))
        } catch {
            throw .system(error)
        }
    }
}

extension Engine {
    /// Holds the ports of what ran before this engine again: a port that another program has taken meanwhile is its
    /// own.
    func reclaimPorts() {
        for (name, entry) in stacks where entry.record.active {
            for service in entry.record.stack.services.values where service.networkMode != "host" {
                // Of what runs already: its ports are its own, whoever listens meanwhile.
                let listeners = service.hasManyPorts ? HostListeners(sockets: []) : nil
                for port in service.ports {
                    guard let published = port.shared else { continue }
                    reclaim(port, published, stack: name, isChosen: false, listeners: listeners)
                }
            }
        }
        for container in containers.values where container.stored.free == nil {
            for chosen in container.stored.chosenPorts {
                reclaim(chosen.port, chosen.published, stack: container.stored.stackName, isChosen: true)
            }
        }
        do throws(NetworkError) { try network.sweepHostPorts() } catch {
            log.warning("ports not released", metadata: ["error": "\(error)"])
        }
    }

    private func reclaim(
        _ port: Port, _ published: UInt16, stack: String, isChosen: Bool, listeners: HostListeners? = nil
    ) {
        do throws(NetworkError) {
            let key = try PortRegistry.Key(hostIP: port.hostIP, port: published, transport: port.transport)
            try ports.reserve(
                key, stack: stack, with: network, isChosen: isChosen, listeners: listeners)
        } catch {
            log.warning("port not held", metadata: ["stack": "\(stack)", "port": "\(published)", "error": "\(error)"])
        }
    }

    nonisolated func portAdvice(_ error: NetworkError) -> (code: String, hint: String) {
        switch error {
        case .portNotPermitted(let port, _):
            (
                "port.not-permitted",
                "publish a port from 1024 on, or let plain users have it: "
                    + "`sysctl net.ipv4.ip_unprivileged_port_start=\(port)` as root"
            )
        case .transportNotForwarded: ("port.not-supported", "publish it with an engine that runs as root")
        default: ("port.in-use", "stop the program that listens there (`ss -lntup`) or publish another port")
        }
    }

    // MARK: - Warnings

    /// What of the stack this host does not let the engine do.
    func hostWarnings(_ record: StackRecord) -> [Diagnostic] {
        guard let rootless = options.rootless else { return [] }
        var warnings: [Diagnostic] = []
        if rootless.uplink == "none", !record.stack.services.isEmpty {
            warnings.append(
                Diagnostic(
                    .warning, code: "rootless.no-uplink",
                    "containers reach nothing outside of this host: neither pasta nor slirp4netns could be started",
                    hint: "install passt or slirp4netns, stop the engine with `gantry engine stop` and the stacks with "
                        + "`gantry down`, and start again; \(options.execRoot)/uplink.log may tell more"))
        }
        if rootless.hasSingleID {
            warnings.append(
                Diagnostic(
                    .warning, code: "rootless.single-id",
                    "every file of an image belongs to root, and no program can run as another user",
                    hint: "install uidmap, and have root give you ids: `usermod --add-subuids 100000-165535 "
                        + "--add-subgids 100000-165535 USER`; then load the images again"))
        }
        let missing = missingLimits(record.stack)
        if !missing.isEmpty {
            warnings.append(
                Diagnostic(
                    .warning, code: "rootless.no-limits",
                    "limits without effect: \(missing.joined(separator: "; "))",
                    hint: "limits need a delegated cgroup v2: run the engine in "
                        + "`systemd-run --user -p Delegate=yes gantry engine`"))
        }
        return warnings
    }

    /// `service 'web': memory, cpus`.
    private func missingLimits(_ stack: Stack) -> [String] {
        let controllers = runtime.limitingControllers
        return stack.services.sorted { $0.key < $1.key }.compactMap { name, service in
            let limits = service.resources
            var missing: [String] = []
            if !controllers.contains("memory"), limits.memory != nil || limits.memoryReservation != nil {
                missing.append("memory")
            }
            if !controllers.contains("cpu"), limits.nanoCPUs != nil || limits.cpuShares != nil {
                missing.append("cpus")
            }
            if !controllers.contains("cpuset"), limits.cpuset != nil { missing.append("cpuset") }
            if !controllers.contains("pids"), limits.pids != nil { missing.append("pids") }
            return missing.isEmpty ? nil : "\(missing.joined(separator: ", ")) of service '\(name)'"
        }
    }
}
