import JSONDocument
import StackModel

/// `80`, `80/tcp` or `8000-8010/udp` as Docker writes ports.
public struct PortSpan: Equatable, Sendable {
    public var first: UInt16
    public var last: UInt16
    public var transport: Port.Transport

    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count),
            let transport = parts.count == 2 ? Port.Transport(rawValue: parts[1].lowercased()) : .tcp,
            let (first, last) = Self.range(parts[0])
        else { return nil }
        self.first = first
        self.last = last
        self.transport = transport
    }

    /// `8000` or `8000-8010`.
    static func range(_ text: Substring) -> (UInt16, UInt16)? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...2).contains(ends.count), let first = UInt16(ends[0]), let last = UInt16(ends[ends.count - 1]),
            first <= last
        else { return nil }
        return (first, last)
    }

    public var ports: [Port] { (first...last).map { Port(target: $0, transport: transport) } }
}

extension Port {
    /// `80/tcp`.
    public var dockerName: String { "\(target)/\(transport.rawValue)" }
}

/// `PortBindings`, and with `PublishAllPorts` every exposed port that they do not name.
///
/// - Parameter exposed: of the image.
func publishedPorts(_ request: ContainerRequest, exposed: [String]) throws(TranslationError) -> [Port] {
    let host = request.hostFields
    var ports: [Port] = []
    if let bindings = try host.object("PortBindings") {
        for key in bindings.members.keys.sorted() {
            guard let span = PortSpan(key), span.first == span.last, span.first > 0 else {
                throw bindings.refuse(key, "is no port such as 80/tcp")
            }
            for binding in try bindings.objects(key) { ports.append(try port(span, binding)) }
            // An empty list is one port of the engine's choice.
            if try bindings.objects(key).isEmpty { ports.append(Port(target: span.first, transport: span.transport)) }
        }
    }
    if try host.isSet("PublishAllPorts") {
        for port in try exposedPorts(request, image: exposed)
        where !ports.contains(where: { $0.target == port.target && $0.transport == port.transport }) {
            ports.append(port)
        }
    }
    return ports
}

private func port(_ span: PortSpan, _ binding: Fields) throws(TranslationError) -> Port {
    var port = Port(target: span.first, hostIP: try binding.text("HostIp"), transport: span.transport)
    // Every address of the host, in either spelling.
    if port.hostIP == "0.0.0.0" || port.hostIP == "::" { port.hostIP = nil }
    let text = try binding.text("HostPort") ?? "0"
    guard let (first, last) = PortSpan.range(text[...]) else {
        throw binding.refuse("HostPort", "'\(text)' is neither a port nor a range of ports")
    }
    if last > 0 { port.published = first }
    if last > first { port.publishedLast = last }
    return port
}

/// What the image and the request expose, sorted.
public func exposedPorts(_ request: ContainerRequest, image: [String]) throws(TranslationError) -> [Port] {
    var ports: Set<Port> = []
    for text in image + (try request.configFields.names("ExposedPorts")) {
        guard let span = PortSpan(text) else { throw TranslationError("ExposedPorts: '\(text)' is no port") }
        ports.formUnion(span.ports)
    }
    return ports.sorted { ($0.target, $0.transport) < ($1.target, $1.transport) }
}
