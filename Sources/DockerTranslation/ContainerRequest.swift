import JSONDocument
import StackModel

/// `POST /containers/create`, kept as it was sent: a container is asked about in the words that it was asked for in.
public struct ContainerRequest: Codable, Equatable, Sendable {
    /// Docker's `Config`.
    public var config: [String: JSONValue]
    public var hostConfig: [String: JSONValue]
    /// `NetworkingConfig.EndpointsConfig`.
    public var endpoints: [String: JSONValue]
    public var platform: String?

    public init(_ document: JSONValue, platform: String? = nil) throws(TranslationError) {
        guard case .object(var members) = document else { throw TranslationError("the request must be an object") }
        let fields = Fields(members)
        hostConfig = Self.named(try fields.object("HostConfig")?.members ?? [:], Self.hostDefaults)
        endpoints = try fields.object("NetworkingConfig")?.object("EndpointsConfig")?.members ?? [:]
        members["HostConfig"] = nil
        members["NetworkingConfig"] = nil
        config = Self.named(members, Self.configDefaults)
        self.platform = platform.flatMap { $0.isEmpty ? nil : $0 }
    }

    public var configFields: Fields { Fields(config) }
    public var hostFields: Fields { Fields(hostConfig, path: "HostConfig") }

    public var image: String? {
        get throws(TranslationError) { try configFields.text("Image") }
    }

    /// It is removed as soon as it has ended.
    public var autoRemove: Bool {
        get throws(TranslationError) { try hostFields.isSet("AutoRemove") }
    }

    /// A client that ends its input ends the container's.
    public var isStdinOnce: Bool {
        // It was read when the container was made.
        (try? configFields.isSet("StdinOnce")) ?? false
    }
}

/// How a container is connected.
public enum NetworkChoice: Equatable, Sendable {
    case host
    case none
    /// The network namespace of another container: its name or id.
    case container(String)
    /// Networks by name or id, each with how it is attached; the first is that of `NetworkMode`.
    case networks([Endpoint])

    public struct Endpoint: Equatable, Sendable {
        public var network: String
        public var attachment: NetworkAttachment
    }

    public static let bridge = "bridge"

    public init(_ request: ContainerRequest) throws(TranslationError) {
        let mode = try request.hostFields.text("NetworkMode") ?? "default"
        switch mode {
        case "host": self = .host
        case "none": self = .none
        case _ where mode.hasPrefix("container:"):
            let name = String(mode.dropFirst("container:".count))
            guard !name.isEmpty else { throw TranslationError("HostConfig.NetworkMode: a container's name is missing") }
            self = .container(name)
        default: self = .networks(try Self.endpoints(request, mode: Self.name(mode)))
        }
    }

    private static func name(_ mode: String) -> String { mode == "default" || mode.isEmpty ? bridge : mode }

    private static func endpoints(
        _ request: ContainerRequest, mode: String
    ) throws(TranslationError) -> [Endpoint] {
        let given = Fields(["EndpointsConfig": .object(request.endpoints)], path: "NetworkingConfig")
        var endpoints: [Endpoint] = []
        for (key, fields) in try given.named("EndpointsConfig") {
            endpoints.append(Endpoint(network: name(key), attachment: try NetworkAttachment(docker: fields)))
        }
        if try request.configFields.isSet("NetworkDisabled") { return [] }
        let others = endpoints.filter { $0.network != mode }
        var first = endpoints.first { $0.network == mode }
        if first == nil, endpoints.isEmpty || mode != bridge {
            first = Endpoint(network: mode, attachment: NetworkAttachment())
        }
        var all = (first.map { [$0] } ?? []) + others
        if let mac = try request.configFields.text("MacAddress"), !all.isEmpty, all[0].attachment.macAddress == nil {
            all[0].attachment.macAddress = mac
        }
        // The first gives the container its first interface.
        if all.count > 1 { all[0].attachment.priority = 1 }
        return all
    }
}

extension NetworkAttachment {
    /// Docker's `EndpointSettings`.
    public init(docker fields: Fields) throws(TranslationError) {
        self.init(aliases: try fields.texts("Aliases"))
        let addresses = try fields.object("IPAMConfig")
        ipv4Address = try addresses?.text("IPv4Address")
        ipv6Address = try addresses?.text("IPv6Address")
        linkLocalIPs = try addresses?.texts("LinkLocalIPs") ?? []
        macAddress = try fields.text("MacAddress")
        links = try fields.texts("Links")
        driverOptions = try fields.map("DriverOpts")
        gatewayPriority = Int(clamping: try fields.number("GwPriority") ?? 0)
    }
}
