import StackModel

/// A stack as a picture has it: who is reached from where, who waits for whom, who keeps what. Pure.
public struct StackGraph: Equatable, Sendable {
    public enum Kind: String, Sendable {
        /// A port of the host.
        case port
        case service, network, volume, config, secret
    }

    /// How a service fares; nothing is told of the others.
    public enum Health: String, Sendable {
        /// All replicas serve.
        case good
        /// Some do, or they are on their way.
        case partial
        case bad
        /// It is not there, and nobody said that it should be.
        case absent
    }

    public struct Node: Equatable, Sendable {
        /// Unique: `service:web`.
        public var id: String
        public var kind: Kind
        /// The name first.
        public var lines: [String]
        public var health: Health?
    }

    public struct Edge: Equatable, Sendable {
        public enum Kind: String, Sendable {
            /// Requests go this way.
            case publishes
            /// `from` waits for `to`.
            case needs
            /// `from` is on the network, or has the volume, config or secret.
            case uses
        }
        public var from: String
        public var to: String
        public var kind: Kind
        /// `healthy`, `/data`; may be empty.
        public var label: String
    }

    public var title: String
    /// Ports first, then services by name, then what they use.
    public var nodes: [Node]
    public var edges: [Edge]

    /// What a service's containers do at the moment.
    public struct Live: Equatable, Sendable {
        public var running: Int
        public var ready: Int
        /// Some are unhealthy, or have ended otherwise than they should.
        public var hasFailures: Bool

        public init(running: Int, ready: Int, hasFailures: Bool) {
            self.running = running
            self.ready = ready
            self.hasFailures = hasFailures
        }
    }

    /// - Parameters:
    ///   - live: by service; `nil`: only what there should be is drawn.
    ///   - scale: numbers of replicas in place of the stack's.
    public init(_ stack: Stack, live: [String: Live]? = nil, scale: [String: Int] = [:]) {
        title = stack.name
        (nodes, edges) = ([], [])
        for (name, service) in stack.services.sorted(by: { $0.key < $1.key }) {
            addService(name, service, replicas: scale[name] ?? service.replicas, live: live.map { $0[name] })
        }
        addUsed(stack)
        let order: [Kind] = [.port, .service, .network, .volume, .config, .secret]
        nodes = order.flatMap { kind in nodes.filter { $0.kind == kind } }
    }

    private mutating func addService(_ name: String, _ service: Service, replicas: Int, live: Live??) {
        let id = "service:\(name)"
        var lines = [name, service.image.isEmpty ? "built here" : service.image]
        var health: Health?
        if let live {
            let found = live ?? Live(running: 0, ready: 0, hasFailures: false)
            lines.append("\(found.ready)/\(replicas) ready")
            health = Self.health(found, replicas: replicas)
        } else if replicas != 1 {
            lines.append("\(replicas) replicas")
        }
        nodes.append(Node(id: id, kind: .service, lines: lines, health: health))
        for (other, dependency) in service.dependsOn.sorted(by: { $0.key < $1.key }) {
            edges.append(Edge(from: id, to: "service:\(other)", kind: .needs, label: dependency.condition.shortName))
        }
        for mode in [service.networkMode, service.pidMode, service.ipcMode].compactMap({ $0 }) {
            guard mode.hasPrefix("service:"), service.dependsOn[String(mode.dropFirst(8))] == nil else { continue }
            edges.append(Edge(from: id, to: mode, kind: .needs, label: "shares namespaces"))
        }
        for port in service.ports {
            let text = port.hostText
            if !nodes.contains(where: { $0.id == "port:\(text)" }) {
                nodes.append(Node(id: "port:\(text)", kind: .port, lines: [text], health: nil))
            }
            edges.append(Edge(from: "port:\(text)", to: id, kind: .publishes, label: "\(port.target)"))
        }
    }

    private static func health(_ live: Live, replicas: Int) -> Health {
        if live.ready >= replicas, replicas > 0 { return .good }
        if live.ready == 0, live.hasFailures { return .bad }
        return live.running > 0 || live.hasFailures ? .partial : .absent
    }

    private mutating func addUsed(_ stack: Stack) {
        // A network that everybody is on says nothing.
        let everybody = stack.services.count > 1
        let common = stack.networks.keys.filter { key in
            everybody && stack.networks.count == 1 && stack.services.values.allSatisfy { $0.networks[key] != nil }
        }
        for (name, service) in stack.services.sorted(by: { $0.key < $1.key }) {
            let id = "service:\(name)"
            for key in service.networks.keys.sorted() where !common.contains(key) { use(id, .network, key) }
            for mount in service.mounts where mount.kind == .volume {
                guard let source = mount.source else { continue }
                use(id, .volume, source, label: mount.target + (mount.readOnly ? " (ro)" : ""))
            }
            for mount in service.configs { use(id, .config, mount.source) }
            for mount in service.secrets { use(id, .secret, mount.source) }
        }
    }

    private mutating func use(_ service: String, _ kind: Kind, _ name: String, label: String = "") {
        let id = "\(kind.rawValue):\(name)"
        if !nodes.contains(where: { $0.id == id }) {
            nodes.append(Node(id: id, kind: kind, lines: [name, kind.rawValue], health: nil))
        }
        edges.append(Edge(from: service, to: id, kind: .uses, label: label))
    }
}

extension Dependency.Condition {
    fileprivate var shortName: String {
        switch self {
        case .started: ""
        case .healthy: "healthy"
        case .completed: "completed"
        }
    }
}

extension Port {
    /// As a user would reach it.
    fileprivate var hostText: String {
        let number = published.map { first in publishedLast.map { "\(first)-\($0)" } ?? "\(first)" } ?? "any port"
        let host = hostIP.map { $0.contains(":") ? "[\($0)]:" : "\($0):" } ?? ""
        return "\(host)\(number)" + (transport == .tcp ? "" : "/\(transport.rawValue)")
    }
}
