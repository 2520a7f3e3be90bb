import InternetAddress
import StackModel

/// What a container is told of one that it is linked to, as Docker's `daemon/links` does. Pure.
struct LinkVariables {
    struct Port: Hashable {
        var number: UInt16
        var transport: String

        init(_ number: UInt16, _ transport: StackModel.Port.Transport) {
            self.number = number
            self.transport = transport.rawValue
        }
    }

    /// The alias; in the variables' names it is in capitals, with `_` for `-`.
    var prefix: String
    /// `/container/alias`.
    var path: String
    var address: IPAddress
    var ports: Set<Port>
    /// `NAME=value` of the other container.
    var environment: [String]

    private static let notPassedOn: Set<String> = ["PATH", "HOME", "HOSTNAME", "TERM"]

    var all: [(name: String, value: String)] {
        let prefix = String(prefix.uppercased().map { $0 == "-" ? "_" : $0 })
        let sorted = ports.sorted { ($0.number, $0.transport) < ($1.number, $1.transport) }
        var lines: [(name: String, value: String)] = []
        func url(_ port: Port) -> String {
            "\(port.transport)://\(address.isV6 ? "[\(address)]" : "\(address)"):\(port.number)"
        }
        if let first = sorted.first { lines.append(("\(prefix)_PORT", url(first))) }
        for port in sorted {
            let name = "\(prefix)_PORT_\(port.number)_\(port.transport.uppercased())"
            lines += [
                (name, url(port)), ("\(name)_ADDR", "\(address)"), ("\(name)_PORT", "\(port.number)"),
                ("\(name)_PROTO", port.transport),
            ]
        }
        lines.append(("\(prefix)_NAME", path))
        for line in environment {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !Self.notPassedOn.contains(String(parts[0])) else { continue }
            lines.append(("\(prefix)_ENV_\(parts[0])", String(parts[1])))
        }
        return lines
    }
}
