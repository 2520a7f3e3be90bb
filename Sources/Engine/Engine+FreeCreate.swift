import ContainerNetwork
import DockerTranslation
import EngineWire
import Images
import LinuxSystem
import Logging
import Reconciler
import StackModel

/// `POST /containers/create`: containers that belong to no stack, whatever labels a client puts on them.
extension Engine {
    /// - Returns: the id, and what will not be as it was asked for.
    public func createContainer(
        _ request: ContainerRequest, name: String?
    ) async throws(EngineError) -> (id: String, warnings: [String]) {
        let image = try wantedImage(request)
        let name = try wantedName(name)
        let defaults = image.config.config
        var service = try translating { () throws(TranslationError) in
            try Service(request, exposed: defaults.exposedPorts)
        }
        let choice = try translating { () throws(TranslationError) in try NetworkChoice(request) }
        guard !processArguments(service, defaults: defaults).isEmpty else { throw .badRequest("no command specified") }
        try resolveNames(&service)
        do throws(EngineError) { try checkLater(service, name: name) } catch { throw error.asDocker }
        try addVolumes(from: request, to: &service)
        try await checkBindSources(service)
        var free = FreeContainer(request)
        var stack = Stack(name: "")
        if case .networks(let endpoints) = choice {
            for endpoint in endpoints { try await addNetwork(endpoint, to: &stack, &service, &free) }
        }
        try await makeVolumes(&service, try translating { () throws(TranslationError) in try volumeOptions(request) })
        for case let name? in service.mounts.map({ $0.kind == .volume ? $0.source : nil }) {
            stack.volumes[name] = externalVolume(name)
        }
        try putOffTaken(&stack, &service, &free)
        stack.services[name] = service
        let stored = try makeRecord(name, stack, service, image, free)
        return (stored.id, warnings(service))
    }

    func translating<Value>(_ body: () throws(TranslationError) -> Value) throws(EngineError) -> Value {
        do throws(TranslationError) { return try body() } catch { throw .badRequest(error.description) }
    }

    private func wantedImage(_ request: ContainerRequest) throws(EngineError) -> Image {
        guard let name = try translating({ () throws(TranslationError) in try request.image }) else {
            throw .badRequest("config.Image: no image is named")
        }
        let found: Image
        do throws(ImageError) { found = try images.image(name) } catch {
            guard case .notFound = error else { throw .image(error) }
            // Clients pull and try again when they read this.
            let reference = try? ImageReference(parsing: name)  // An id is none, and is named as it is.
            throw .answered(404, "No such image: \(reference?.familiar ?? name)")
        }
        guard !imagesLeaving.contains(found.id) else { throw .conflict("image \(name) is being removed") }
        try checkPlatform(request.platform, of: found, name)
        return found
    }

    private func checkPlatform(_ platform: String?, of image: Image, _ name: String) throws(EngineError) {
        guard let platform else { return }
        let parts = platform.lowercased().split(separator: "/").map(String.init)
        let aliases = ["x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"]
        let os = parts.first ?? ""
        let architecture = parts.count > 1 ? aliases[parts[1]] ?? parts[1] : nil
        guard (1...3).contains(parts.count) else { throw .badRequest("invalid platform '\(platform)'") }
        let config = image.config
        let fits =
            (config.os.isEmpty || config.os == os)
            && (architecture == nil || config.architecture.isEmpty || config.architecture == architecture)
        guard fits else {
            throw .answered(
                404,
                "image with reference \(name) was found but does not provide the specified platform (\(platform))")
        }
    }

    private func wantedName(_ given: String?) throws(EngineError) -> String {
        guard var name = given, !name.isEmpty else {
            var generator = SystemRandomNumberGenerator()
            return randomContainerName(using: &generator) { containerIDs[$0] != nil }
        }
        if name.hasPrefix("/") { name.removeFirst() }
        try checkName(name)
        return name
    }

    func checkName(_ name: String) throws(EngineError) {
        guard isContainerName(name) else {
            throw .badRequest("Invalid container name (\(name)), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        }
        guard let holder = containerIDs[name] else { return }
        throw .conflict(
            "Conflict. The container name \"/\(name)\" is already in use by container \"\(holder)\". You have to "
                + "remove (or rename) that container to be able to reuse that name.")
    }

    /// Other containers are meant by their ids from here on: names change.
    private func resolveNames(_ service: inout Service) throws(EngineError) {
        func resolved(_ mode: String?) throws(EngineError) -> String? {
            guard let mode, mode.hasPrefix("container:") else { return mode }
            return "container:\(try other(String(mode.dropFirst("container:".count))).id)"
        }
        service.networkMode = try resolved(service.networkMode)
        service.pidMode = try resolved(service.pidMode)
        service.ipcMode = try resolved(service.ipcMode)
    }

    /// A container that the new one refers to. By the status 404 clients would take it that the image is missing.
    private func other(_ name: String) throws(EngineError) -> StoredContainer {
        do throws(EngineError) { return try container(name).stored } catch {
            guard case .containerNotFound = error else { throw error }
            throw .badRequest("could not get container for \(name): No such container: \(name)")
        }
    }

    /// What would only be found out by the start.
    private func checkLater(_ service: Service, name: String) throws(EngineError) {
        _ = try LogOptions.settings(service.logging, path: "", service: name)
        _ = try SecurityOptions(service.securityOptions, service: name)
        try checkKernel(service)
        if let signal = service.stopSignal { _ = try signalNumber(signal) }
        for link in service.externalLinks { _ = try other(linkParts(link).name) }
    }

    /// `VolumesFrom`: the mounts of another container, in the places that are free.
    private func addVolumes(from request: ContainerRequest, to service: inout Service) throws(EngineError) {
        let sources = try translating { () throws(TranslationError) in try request.hostFields.texts("VolumesFrom") }
        for text in sources {
            let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
            let other = try self.other(parts.first ?? "")
            let isReadOnly = parts.count > 1 ? try isReadOnly(volumesFrom: parts[1]) : false
            for var mount in other.ownMounts where !service.mounts.contains(where: { $0.target == mount.target }) {
                mount.readOnly = mount.readOnly || isReadOnly
                mount.noCopy = true
                service.mounts.append(mount)
            }
        }
    }

    private func checkBindSources(_ service: Service) async throws(EngineError) {
        let sources = service.mounts.filter { $0.kind == .bind && !$0.createHostPath }.compactMap(\.source)
        guard !sources.isEmpty else { return }
        let missing = try await onPool { () throws(SystemError) in sources.first { !FileSystem.exists($0) } }
        guard let missing else { return }
        throw .badRequest("invalid mount config for type \"bind\": bind source path does not exist: \(missing)")
    }

    private func externalVolume(_ name: String) -> Volume {
        var volume = Volume()
        volume.name = name
        volume.external = true
        return volume
    }

    /// Volumes that a container names are made on the way, and nameless ones whose driver is told something.
    ///
    /// - Parameter options: the driver's, by the mounts' targets.
    private func makeVolumes(
        _ service: inout Service, _ options: [String: [String: String]]
    ) async throws(EngineError) {
        for index in service.mounts.indices where service.mounts[index].kind == .volume {
            let mount = service.mounts[index]
            let options = options[mount.target] ?? [:]
            if let name = mount.source, volumes[name] != nil { continue }
            guard mount.source != nil || !options.isEmpty else { continue }
            var request = VolumeCreateRequest()
            request.Name = mount.source
            request.DriverOpts = options
            request.Labels = mount.volumeLabels
            service.mounts[index].source = try await createVolume(request).Name
        }
    }

    private func addNetwork(
        _ endpoint: NetworkChoice.Endpoint, to stack: inout Stack, _ service: inout Service, _ free: inout FreeContainer
    ) async throws(EngineError) {
        guard let record = try await existingNetwork(endpoint.network) else {
            // As Docker has it: the container is made, and cannot be started.
            free.missingNetworks = (free.missingNetworks ?? [:]).merging([endpoint.network: endpoint.attachment]) { $1 }
            return
        }
        try checkAttachment(endpoint.attachment)
        var network = Network()
        network.name = record.name
        network.external = true
        stack.networks[record.name] = network
        service.networks[record.name] = endpoint.attachment
    }

    /// As Docker has it: an address that is taken now may be free when the container starts.
    private func putOffTaken(
        _ stack: inout Stack, _ service: inout Service, _ free: inout FreeContainer
    ) throws(EngineError) {
        for (name, wanted) in service.networks {
            guard let record = networks[name], try isTaken(wanted, on: record) else { continue }
            free.missingNetworks = (free.missingNetworks ?? [:]).merging([name: wanted]) { $1 }
            service.networks[name] = nil
            stack.networks[name] = nil
        }
    }

    /// Makes the record and writes it; nothing is awaited, so that a name is taken once.
    private func makeRecord(
        _ name: String, _ stack: Stack, _ service: Service, _ image: Image, _ free: FreeContainer
    ) throws(EngineError) -> StoredContainer {
        try checkName(name)
        let id = randomID()
        guard let definition = ContainerDefinition(stack: stack, service: name, imageID: image.id.description) else {
            throw .badRequest("no such service: \(name)")
        }
        var attachments = try attachments(id: id, stack: stack, service: service, name: name)
        for index in attachments.indices {
            attachments[index].byHand = service.networks[attachments[index].network]
        }
        let removes = try translating { () throws(TranslationError) in try free.request.autoRemove }
        var stored = StoredContainer(
            id: id, name: name, stackName: "", service: name, number: 1, oneOff: true, removeOnExit: removes,
            definition: definition, labels: image.config.config.labels, attachments: attachments, chosenPorts: [],
            volumes: [:], createdAt: Clock.now(), stoppedByUser: false, restarts: 0)
        stored.labels.merge(service.labels) { _, own in own }
        stored.free = free
        let made = anonymousVolumes(&stored, stack: stack, image: image)
        do throws(EngineError) {
            try saveAll([stored] + made)
        } catch {
            releaseAddresses(of: stored)
            throw error
        }
        for volume in made { volumes[volume.name] = volume }
        register(Container(stored: stored))
        announce(stored, "create")
        return stored
    }

    private func warnings(_ service: Service) -> [String] {
        service.networkMode == "host" && service.ports.isEmpty == false
            ? ["Published ports are discarded when using host network mode"] : []
    }

    /// `CONTAINER[:ALIAS]`; clients write both with a slash in front when they send back what they were told.
    func linkParts(_ link: String) -> (name: String, alias: String) {
        let parts = link.split(separator: ":", maxSplits: 1).map { part in
            String(part.split(separator: "/").last ?? part)
        }
        let name = parts.first ?? ""
        return (name, parts.count > 1 ? parts[1] : name)
    }
}

extension StoredContainer {
    /// Binds and volumes of the container, those that it has of its own among them, with the volumes' names.
    var ownMounts: [StackModel.Mount] {
        var mounts: [StackModel.Mount] = []
        for mount in definition.service.mounts {
            var mount = mount
            if mount.kind == .volume { mount.source = volumes[mount.target] }
            if mount.kind == .bind || mount.kind == .volume { mounts.append(mount) }
        }
        for (target, name) in volumes.sorted(by: { $0.key < $1.key })
        where !mounts.contains(where: { $0.target == target }) {
            mounts.append(StackModel.Mount(kind: .volume, source: name, target: target))
        }
        return mounts
    }
}
