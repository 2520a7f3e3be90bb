/// `ADDRESS:PORT` or `NAME:PORT`; an IPv6 address stands in brackets.
public struct TCPDestination: Equatable, Sendable, CustomStringConvertible {
    /// What Docker's clients take when none is written.
    static let standardPort: UInt16 = 2376

    /// A name or an address, without brackets.
    public let host: String
    public let port: UInt16

    /// `nil` for what is none.
    public init?(parsing text: String) {
        var authority = text[...]
        if authority.hasSuffix("/") { authority.removeLast() }
        let portText: Substring?
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            let rest = authority[authority.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":"), host.contains(":") else { return nil }
            portText = rest.isEmpty ? nil : rest.dropFirst()
        } else {
            let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2 else { return nil }
            host = String(parts[0])
            portText = parts.count == 2 ? parts[1] : nil
        }
        guard let port = portText.map({ UInt16($0) }) ?? Self.standardPort, port > 0, !host.isEmpty,
            host.utf8.allSatisfy({ byte in
                byte >= 0x30 && byte <= 0x39 || byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7a
                    || ".-_:%".utf8.contains(byte)
            })
        else { return nil }
        self.port = port
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Nobody outside of this machine reaches it.
    public var isLoopback: Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return parts.count == 4 && parts[0] == 127 && parts.allSatisfy { $0 != nil }
    }
}
