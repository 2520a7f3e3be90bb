import ContainerNetwork
import DockerTranslation
import EngineWire
import Images
import InternetAddress
import JSONDocument
import Reconciler
import StackModel

/// What `GET /containers/json` asks for.
public struct ContainerQuery: Sendable {
    public var all = false
    /// Newest ones; with it all are looked at.
    public var limit: Int?
    public var size = false
    public var filters: [String: [String]] = [:]

    public init() {}
}

/// `GET /containers/json`. Of a container nothing is asked but what this process knows: no file, no netlink.
extension Engine {
    public func containerList(_ query: ContainerQuery) async throws(EngineError) -> [UInt8] {
        let chosen = try chosen(query)
        var sizes: [String: (written: Int64, whole: Int64)] = [:]
        if query.size {
            for container in chosen {
                let id = container.stored.id
                let written = try await writtenByteCount(id)
                // An image that is gone takes nothing.
                let image = try? images.image(container.stored.definition.imageID)
                sizes[id] = (written, written + Int64(clamping: image?.byteCount ?? 0))
            }
        }
        let now = Clock.now()
        var known = KnownImages(images)
        var json = JSONBytes(byteCount: 1024 * chosen.count + 16)
        json.array { json in
            for container in chosen { write(container, now: now, size: sizes[container.stored.id], &known, to: &json) }
        }
        return json.bytes + [UInt8(ascii: "\n")]
    }

    private func chosen(_ query: ContainerQuery) throws(EngineError) -> [Container] {
        var filters = try ContainerFilters(query.filters)
        for name in query.filters["before"] ?? [] { filters.before = try container(name).stored.createdAt }
        for name in query.filters["since"] ?? [] { filters.since = try container(name).stored.createdAt }
        for name in query.filters["ancestor"] ?? [] {
            // What is no image is nobody's ancestor.
            if let id = try? images.image(name).id.description { filters.ancestors.insert(id) }
        }
        for name in query.filters["network"] ?? [] {
            filters.networks.insert(name)
            if let network = networks.values.first(where: { !name.isEmpty && $0.id.hasPrefix(name) }) {
                filters.networks.insert(network.name)
            }
        }
        let limit = query.limit ?? 0
        let wantsAll = query.all || limit > 0 || filters.wantsAll
        let found = containers.values.filter { container in
            // One that is about to be started again counts as running.
            guard wantsAll || container.process != nil || isRestarting(container.stored.id) else { return false }
            guard !filters.filters.values.isEmpty else { return true }
            return filters.matches(container.stored, shownState(container), networks: networkNames(container.stored))
        }.sorted { ($1.stored.createdAt, $0.stored.id) < ($0.stored.createdAt, $1.stored.id) }
        return limit > 0 ? Array(found.prefix(limit)) : found
    }

    private func networkNames(_ stored: StoredContainer) -> [String] {
        stored.networkMode.map { [$0] } ?? stored.attachments.map(\.network)
    }

    private func write(
        _ container: Container, now: Nanoseconds, size: (written: Int64, whole: Int64)?, _ known: inout KnownImages,
        to json: inout JSONBytes
    ) {
        let stored = container.stored
        let service = stored.definition.service
        let state = shownState(container)
        let defaults = known.defaults(stored.definition.imageID)
        json.object { json in
            json.member("Id", stored.id)
            json.key("Names")
            json.array { $0.string("/\(stored.name)") }
            json.member("Image", known.shown(service.image, id: stored.definition.imageID))
            json.member("ImageID", stored.definition.imageID)
            json.member("Command", processArguments(service, defaults: defaults).joined(separator: " "))
            json.member("Created", stored.createdAt / 1_000_000_000)
            json.key("Ports")
            json.array { write(shownPorts(container, image: defaults), to: &$0) }
            json.key("Labels")
            json.object { json in for (key, value) in stored.labels { json.member(key, value) } }
            json.member("State", state.status.rawValue)
            json.member("Status", state.text(now: now))
            json.key("HostConfig")
            json.object { $0.member("NetworkMode", shownNetworkMode(stored)) }
            json.key("NetworkSettings")
            json.object { json in
                json.key("Networks")
                json.object { json in for endpoint in shownEndpoints(container) { write(endpoint, to: &json) } }
            }
            json.key("Mounts")
            json.array { json in for mount in shownMounts(stored) { write(mount, to: &json) } }
            guard let size else { return }
            json.member("SizeRw", size.written)
            json.member("SizeRootFs", size.whole)
        }
    }

    private func write(_ ports: [ShownPort], to json: inout JSONBytes) {
        for shown in ports {
            let bindings: [(address: String?, number: UInt16?)] =
                shown.bindings.isEmpty ? [(nil, nil)] : shown.bindings.map { ($0.address, $0.number) }
            for binding in bindings {
                json.object { json in
                    if let address = binding.address { json.member("IP", address) }
                    json.member("PrivatePort", Int64(shown.port.target))
                    if let number = binding.number { json.member("PublicPort", Int64(number)) }
                    json.member("Type", shown.port.transport.rawValue)
                }
            }
        }
    }

    private func write(_ mount: ShownMount, to json: inout JSONBytes) {
        json.object { json in
            json.member("Type", mount.kind)
            if let name = mount.name {
                json.member("Name", name)
                json.member("Driver", "local")
            }
            // Docker leaves a volume's place out here.
            json.member("Source", mount.name == nil ? mount.source : "")
            json.member("Destination", mount.target)
            json.member("Mode", mount.mode)
            json.key("RW")
            json.flag(mount.isWritable)
            json.member("Propagation", mount.propagation)
        }
    }

    private func write(_ endpoint: ShownEndpoint, to json: inout JSONBytes) {
        json.key(endpoint.name)
        json.object { json in
            json.null("IPAMConfig")
            json.null("Links")
            json.null("Aliases")
            json.null("DriverOpts")
            json.member("NetworkID", endpoint.networkID)
            json.member("EndpointID", endpoint.endpointID)
            json.member("Gateway", endpoint.gateway4)
            json.member("IPAddress", endpoint.address4?.address.description ?? "")
            json.member("IPPrefixLen", Int64(endpoint.address4?.prefixLength ?? 0))
            json.member("IPv6Gateway", endpoint.gateway6)
            json.member("GlobalIPv6Address", endpoint.address6?.address.description ?? "")
            json.member("GlobalIPv6PrefixLen", Int64(endpoint.address6?.prefixLength ?? 0))
            json.member("MacAddress", endpoint.mac)
        }
    }
}

/// Each image of a list is looked up once.
private struct KnownImages {
    private let images: ImageStore
    private var defaultsByID: [String: ContainerDefaults?] = [:]
    private var idsByName: [String: String?] = [:]

    init(_ images: ImageStore) { self.images = images }

    mutating func defaults(_ id: String) -> ContainerDefaults? {
        if let known = defaultsByID[id] { return known }
        // One that is gone says nothing.
        let found = (try? images.image(id))?.config.config
        defaultsByID[id] = .some(found)
        return found
    }

    /// The name it was made from, as long as that still leads to its image.
    mutating func shown(_ name: String, id: String) -> String {
        if idsByName[name] == nil {
            // A name that is gone leads nowhere.
            idsByName[name] = .some((try? images.image(name))?.id.description)
        }
        let shownDigits = 12
        return idsByName[name] == .some(id) ? name : String(id.dropFirst("sha256:".count).prefix(shownDigits))
    }
}
