/// A port of the host that the engine of a plain user asks for from inside of its own network namespace.
public struct HostPort: Hashable, Sendable {
    public enum Transport: String, Sendable { case tcp, udp }

    public var transport: Transport
    /// Host order; 0 is every address of the host.
    public var address: UInt32
    /// 0 takes a free one of the kernel's choice.
    public var port: UInt16

    public init(transport: Transport, address: UInt32, port: UInt16) {
        self.transport = transport
        self.address = address
        self.port = port
    }

    /// `tcp 2130706433 8080`.
    public var text: String { "\(transport.rawValue) \(address) \(port)" }

    public init?(_ words: some Collection<Substring>) {
        let words = Array(words)
        guard words.count == 3, let transport = Transport(rawValue: String(words[0])),
            let address = UInt32(words[1]), let port = UInt16(words[2])
        else { return nil }
        self.init(transport: transport, address: address, port: port)
    }
}

/// What the process that holds the namespaces is asked; one message of text each way.
public enum HostPortRequest: Equatable, Sendable {
    /// Listen on the port and send what arrives on to `target` (host order) and the same port inside.
    case open(HostPort, target: UInt32)
    case close(HostPort)
    /// An engine starts: ports of the one before it are kept until `sweep`.
    case claim
    /// Closes every port that was not opened since `claim`.
    case sweep

    public var text: String {
        switch self {
        case .open(let port, let target): "open \(port.text) \(target)"
        case .close(let port): "close \(port.text)"
        case .claim: "claim"
        case .sweep: "sweep"
        }
    }

    public init?(text: String) {
        let words = text.split(separator: " ")
        switch words.first {
        case "open":
            guard words.count == 5, let port = HostPort(words[1...3]), let target = UInt32(words[4]) else { return nil }
            self = .open(port, target: target)
        case "close":
            guard let port = HostPort(words.dropFirst()) else { return nil }
            self = .close(port)
        case "claim": self = .claim
        case "sweep": self = .sweep
        default: return nil
        }
    }
}

/// The answer: the port that was taken, or an `errno`.
public enum HostPortReply: Equatable, Sendable {
    case done(port: UInt16)
    case failed(Int32)

    public var text: String {
        switch self {
        case .done(let port): "done \(port)"
        case .failed(let code): "failed \(code)"
        }
    }

    public init?(text: String) {
        let words = text.split(separator: " ")
        guard words.count == 2 else { return nil }
        switch words[0] {
        case "done":
            guard let port = UInt16(words[1]) else { return nil }
            self = .done(port: port)
        case "failed":
            guard let code = Int32(words[1]) else { return nil }
            self = .failed(code)
        default: return nil
        }
    }
}

/// What is known of the namespaces that a plain user's engine runs in.
public struct RootlessFacts: Equatable, Sendable {
    /// In the environment of the engine inside.
    public static let variable = "GANTRY_ROOTLESS"

    /// The process that holds the namespaces and forwards ports, as the host numbers it.
    public var holder: Int32
    /// `pasta`, `slirp4netns` or `none`.
    public var uplink: String
    /// Only the user's own id is mapped: every file of an image belongs to root.
    public var hasSingleID: Bool
    /// A connection to the holder, inherited by the engine: while it is open the holder stays; -1 when unknown.
    public var lifeline: Int32

    public init(holder: Int32, uplink: String, hasSingleID: Bool, lifeline: Int32 = -1) {
        self.holder = holder
        self.uplink = uplink
        self.hasSingleID = hasSingleID
        self.lifeline = lifeline
    }

    public var text: String {
        "holder=\(holder) uplink=\(uplink) ids=\(hasSingleID ? "single" : "range") lifeline=\(lifeline)"
    }

    public init?(text: String) {
        var fields: [Substring: Substring] = [:]
        for word in text.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = parts[1] }
        }
        guard let holder = fields["holder"].flatMap({ Int32($0) }), let uplink = fields["uplink"],
            let ids = fields["ids"], let lifeline = fields["lifeline"].flatMap({ Int32($0) })
        else { return nil }
        self.init(holder: holder, uplink: String(uplink), hasSingleID: ids == "single", lifeline: lifeline)
    }

    /// The holder's socket below an engine's exec root.
    public static func socketPath(execRoot: String) -> String { "\(execRoot)/rootless.sock" }
}
