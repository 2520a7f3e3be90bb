/// `PORT`, `FIRST-LAST`, `…/PROTOCOL` of EXPOSE; addresses and host ports before them are read and forgotten, as
/// BuildKit does.
struct ExposedPorts: Equatable {
    var ports: ClosedRange<UInt16>
    var `protocol`: String
    /// The protocol was not written in lower case.
    var hasOddCasing = false
    /// An address or a host port was given.
    var hasMapping = false

    /// Every port of each protocol.
    static let countMax = 3 * 65_536

    /// `PORT/PROTOCOL` each.
    var texts: [String] { ports.map { "\($0)/\(self.protocol)" } }

    init(_ word: Word) throws(Fault) {
        let text = word.text
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let (port, name) = parts[parts.count - 1].cut("/") ?? (parts[parts.count - 1], "")
        guard !port.isEmpty else { throw Fault(.value, "no port specified: \(text)<empty>", at: word.range) }
        self.protocol = name.isEmpty ? "tcp" : name.lowercased()
        guard ["tcp", "udp", "sctp"].contains(self.protocol) else {
            throw Fault(
                .value, "invalid proto: \(name)", at: word.range,
                hint: didYouMean(name, ["tcp", "udp", "sctp"]) ?? "use tcp, udp or sctp")
        }
        guard let range = Self.range(port) else {
            throw Fault(
                .value, "invalid containerPort: \(port)", at: word.range,
                hint: "write a number of 0 to 65535, or FIRST-LAST")
        }
        ports = range
        hasOddCasing = name != name.lowercased()
        hasMapping = parts.count > 1
        if parts.count > 1 { try checkHostPort(parts[parts.count - 2], word) }
        if parts.count > 2 { try checkAddress(parts.dropLast(2).joined(separator: ":"), word) }
    }

    private func checkHostPort(_ host: String, _ word: Word) throws(Fault) {
        guard !host.isEmpty else { return }
        guard let range = Self.range(host) else {
            throw Fault(
                .value, "invalid hostPort: \(host)", at: word.range, hint: "EXPOSE takes the container's port only")
        }
        guard range.count == ports.count || ports.count == 1 else {
            throw Fault(
                .value, "invalid ranges specified for container and host Ports: \(word.text)", at: word.range,
                hint: "EXPOSE takes the container's port only")
        }
    }

    private func checkAddress(_ address: String, _ word: Word) throws(Fault) {
        let isAddress = address.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) || (0x41...0x46).contains(byte)
                || [0x2E, 0x3A, 0x5B, 0x5D, 0x25].contains(byte)
        }
        guard isAddress else {
            throw Fault(
                .value, "invalid IP address: \(address)", at: word.range, hint: "EXPOSE takes the container's port only"
            )
        }
    }

    private static func range(_ text: String) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(port)
        switch ends.count {
        case 1: return ends[0].map { $0...$0 }
        case 2:
            guard let first = ends[0], let last = ends[1], first <= last else { return nil }
            return first...last
        default: return nil
        }
    }

    private static func port(_ text: Substring) -> UInt16? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(text) : nil
    }
}
