import CLinux
import ContainerNetwork
import ContainerRuntime
import EngineWire
import Images
import InternetAddress
import LinuxSystem
import Logging
import NetworkService
import Reconciler
import StackModel

/// Making a container's record. What belongs to it is made when it starts.
extension Engine {
    struct CreateOptions {
        var oneOff = false
        var removeOnExit = false
        var name: String?
        /// Id, in place of the service's name for it.
        var image: String?
        var labels: [String: String] = [:]
        var publishPorts = true
    }

    /// The record is written before anything of the container is made, so that a crash leaves only what is known and
    /// can be removed.
    func createContainer(
        stack: Stack, service name: String, number: Int, options create: CreateOptions = CreateOptions(),
        override: ((inout Service) -> Void)? = nil
    ) async throws(EngineError) -> StoredContainer {
        var stack = stack
        if let override, var service = stack.services[name] {
            override(&service)
            stack.services[name] = service
        }
        guard let service = stack.services[name] else { throw .badRequest("no such service: \(name)") }
        let image = try image(create.image ?? service.image)
        guard !imagesLeaving.contains(image.id) else { throw .conflict("image \(service.image) is being removed") }
        let id = randomID()
        let containerName =
            create.name ?? (create.oneOff ? "\(stack.name)-\(name)-run-\(id.prefix(12))" : nil)
            ?? stack.containerName(service: name, number: number)
        if let holder = containerIDs[containerName] {
            throw .conflict("container name '\(containerName)' is already used by container \(holder.prefix(12))")
        }
        guard let definition = ContainerDefinition(stack: stack, service: name, imageID: image.id.description) else {
            throw .badRequest("no such service: \(name)")
        }
        let ports = create.publishPorts ? try choosePorts(service, stack: stack.name) : []
        let attachments: [StoredContainer.Attachment]
        do throws(EngineError) {
            attachments = try self.attachments(id: id, stack: stack, service: service, name: name)
        } catch {
            for port in ports { releasePort(port) }
            throw error
        }
        var stored = StoredContainer(
            id: id, name: containerName, stackName: stack.name, service: name, number: number, oneOff: create.oneOff,
            removeOnExit: create.removeOnExit, definition: definition, labels: [:], attachments: attachments,
            chosenPorts: ports, volumes: [:], createdAt: Clock.now(), stoppedByUser: false, restarts: 0)
        stored.labels = try labels(stored, stack: stack, image: image, more: create.labels)
        let made = anonymousVolumes(&stored, stack: stack, image: image)
        do throws(EngineError) {
            try saveAll([stored] + made)
        } catch {
            releaseAddresses(of: stored)
            throw error
        }
        for volume in made { volumes[volume.name] = volume }
        register(Container(stored: stored))
        if service.deploy?.endpointMode == .vip { settleServiceAddresses() }
        announce(stored, "create")
        return stored
    }

    /// Done already when nothing has the old name.
    func renameContainer(_ old: String, to name: String, stack: String) throws(EngineError) {
        guard let id = containerIDs[old], var container = containers[id], container.stored.stackName == stack else {
            return
        }
        if let holder = containerIDs[name] {
            throw .conflict("container name '\(name)' is already used by container \(holder.prefix(12))")
        }
        container.stored.name = name
        try save(container.stored)
        containerIDs[old] = nil
        register(container)
        announce(container.stored, "rename", ["oldName": "/\(old)"])
    }

    func saveAll(_ records: [any StoredRecord]) throws(EngineError) {
        do throws(DatabaseError) { try store.save(records) } catch { throw .database(error) }
    }

    func image(_ name: String) throws(EngineError) -> Image {
        do throws(ImageError) { return try images.image(name) } catch { throw .image(error) }
    }

    func folders(of stored: StoredContainer) -> ContainerFolders {
        ContainerFolders(
            data: options.containerData(stored.id), volumes: stored.volumes.values.map { options.volumeData($0) })
    }

    func choosePorts(_ service: Service, stack: String) throws(EngineError) -> [StoredContainer.ChosenPort] {
        var chosen: [StoredContainer.ChosenPort] = []
        for port in service.ports where port.shared == nil && service.networkMode != "host" {
            do throws(NetworkError) {
                let number: UInt16
                if let first = port.published, let last = port.publishedLast, first <= last {
                    number = try ports.reserveFirst(
                        of: first...last, hostIP: port.hostIP, transport: port.transport, stack: stack, with: network)
                } else {
                    number = try ports.reserveEphemeral(
                        hostIP: port.hostIP, transport: port.transport, stack: stack, with: network)
                }
                chosen.append(StoredContainer.ChosenPort(port: port, published: number))
            } catch {
                for port in chosen { releasePort(port) }
                throw .network(error)
            }
        }
        return chosen
    }

    /// `VOLUME`s of the image that the service does not mount, and mounts without a source, get volumes of their own.
    func anonymousVolumes(_ stored: inout StoredContainer, stack: Stack, image: Image) -> [StoredVolume] {
        var made: [StoredVolume] = []
        var targets = Set(image.config.config.volumes)
        for mount in stored.definition.service.mounts {
            targets.remove(mount.target)
            guard mount.kind == .volume else { continue }
            if let key = mount.source {
                stored.volumes[mount.target] = stack.volumeName(key)
            } else {
                targets.insert(mount.target)
            }
        }
        // Of a replica, not of its name, which is another as long as its predecessor is there.
        let place = stack.containerName(service: stored.service, number: stored.number)
        for target in targets.sorted() {
            let slot = "\(stored.oneOff ? stored.name : place):\(target)"
            if !stored.oneOff, let kept = volumes.values.first(where: { $0.slot == slot && $0.stackName == stack.name })
            {
                stored.volumes[target] = kept.name
                continue
            }
            let volume = StoredVolume(
                name: randomID(), stackName: stack.name, key: "", definition: Volume(), anonymous: true, slot: slot,
                populated: false, createdAt: Clock.now())
            stored.volumes[target] = volume.name
            made.append(volume)
        }
        return made
    }

    private func labels(
        _ stored: StoredContainer, stack: Stack, image: Image, more: [String: String]
    ) throws(EngineError) -> [String: String] {
        var labels = image.config.config.labels
        labels.merge(stored.definition.service.labels) { _, new in new }
        labels.merge(more) { _, new in new }
        labels[ComposeLabel.project] = stack.name
        labels[ComposeLabel.service] = stored.service
        labels[ComposeLabel.containerNumber] = "\(stored.number)"
        labels[ComposeLabel.oneOff] = stored.oneOff ? "True" : "False"
        labels[ComposeLabel.configHash] = try configHash(of: stored.definition.service)
        labels[ComposeLabel.workingDirectory] = stack.workingDirectory
        labels[ComposeLabel.configFiles] = stack.configFiles.joined(separator: ",")
        labels[ComposeLabel.image] = image.id.description
        labels[ComposeLabel.dependsOn] = stored.definition.service.dependsOn.sorted { $0.key < $1.key }
            .map { "\($0.key):\($0.value.condition.rawValue):\($0.value.restart)" }.joined(separator: ",")
        return labels
    }

    /// Removes a container that does not run, with its layer, log and namespace.
    ///
    /// - Parameter anonymousVolumes: `false` keeps them for the container that takes its place.
    func removeContainer(_ id: String, anonymousVolumes: Bool) async throws(EngineError) {
        guard containers[id] != nil else { return }
        let files = try await holdFiles(of: id)
        defer { files.release() }
        guard let container = containers[id] else { return }
        guard container.process == nil else { throw .conflict("container \(container.stored.name) is running") }
        let stored = container.stored
        for key in execs.filter({ $0.value.containerID == id }).keys { execs[key] = nil }
        dns.remove(scope: id)
        let runFolder = options.containerRun(id)
        let dataFolder = options.containerData(id)
        // Another may have it by `VolumesFrom`.
        let others = Set(containers.values.filter { $0.stored.id != id }.flatMap(\.stored.volumes.values))
        let anonymous =
            anonymousVolumes
            ? stored.volumes.values.filter { volumes[$0]?.anonymous == true && !others.contains($0) } : []
        let volumeFolders = anonymous.map { FileSystem.parent(of: options.volumeData($0)) }
        let addresses = stored.attachments.flatMap { $0.interface.addresses.map(\.address) }
        let (network, runtime) = (network, runtime)
        let warnings = try await onThread { () throws(EngineError) -> [String] in
            let warnings: [String]
            do throws(NetworkError) {
                try network.removeNamespace(id: id)
                // Before another container can get them: its peers must not find connections of this one.
                if !addresses.isEmpty { try network.forgetConnections(of: addresses) }
            } catch {
                throw .network(error)
            }
            do throws(RuntimeError) {
                warnings = try runtime.delete(directory: runFolder)
            } catch {
                throw .runtime(error, container: stored.name)
            }
            do throws(SystemError) {
                for folder in [dataFolder] + volumeFolders { try FileSystem.removeTree(folder) }
            } catch {
                throw .system(error)
            }
            return warnings
        }
        for warning in warnings {
            log.warning("container deleted", metadata: ["container": "\(stored.name)", "warning": "\(warning)"])
        }
        do throws(DatabaseError) {
            try store.save([], deleting: [stored] + anonymous.compactMap { volumes[$0] })
        } catch {
            throw .database(error)
        }
        for name in anonymous { volumes[name] = nil }
        for port in stored.chosenPorts { releasePort(port) }
        releaseAddresses(of: stored)
        forget(id)
        announce(stored, "destroy")
    }

    func releasePort(_ chosen: StoredContainer.ChosenPort) {
        // The address was parsed when the port was reserved.
        if let key = try? PortRegistry.Key(
            hostIP: chosen.port.hostIP, port: chosen.published, transport: chosen.port.transport)
        {
            ports.release(key)
        }
    }
}

/// What of the disk belongs to a container.
struct ContainerFolders: Sendable {
    let data: String
    let volumes: [String]

    /// Blocks. What is there stays.
    func make() throws(SystemError) {
        try FileSystem.makeDirectories(data)
        try FileSystem.makeDirectories("\(data)/upper", mode: 0o755)
        try FileSystem.makeDirectories("\(data)/work")
        for volume in volumes { try FileSystem.makeDirectories(volume, mode: 0o755) }
    }
}

/// 64 hex digits of the kernel's randomness, the form of Docker's ids.
func randomID() -> String {
    var bytes = [UInt8](repeating: 0, count: 32)
    var filled = 0
    while filled < bytes.count {
        let count = bytes.withUnsafeMutableBytes { buffer in
            getrandom(buffer.baseAddress.map { $0 + filled }, buffer.count - filled, 0)
        }
        filled += max(0, count)
    }
    return bytes.map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}
