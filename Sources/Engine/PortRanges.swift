import ContainerNetwork
import InternetAddress

/// Runs shorter than this stay single ports.
private let portRunCountMin = 16

/// The ports, sorted, with long runs of neighbours that one container serves under the same numbers joined into ranges:
/// a range is one element of the firewall's, and ten thousand ports are ten thousand.
func joinedRanges(_ ports: [PublishedPort]) -> [PublishedPort] {
    let sorted = ports.sorted(by: isBefore)
    var result: [PublishedPort] = []
    var run: [PublishedPort] = []
    func flush() {
        if run.count >= portRunCountMin, var range = run.first, let last = run.last {
            range.lastPort = last.port
            result.append(range)
        } else {
            result += run
        }
        run = []
    }
    for port in sorted {
        if let last = run.last, !isContinued(last, by: port) { flush() }
        guard keepsNumbers(port) else {
            flush()
            result.append(port)
            continue
        }
        run.append(port)
    }
    flush()
    return result
}

/// One container, the port's own number on both sides.
private func keepsNumbers(_ port: PublishedPort) -> Bool {
    port.lastPort == nil && port.backends.allSatisfy { $0.port == port.port }
        && [false, true].allSatisfy { isV6 in port.backends.count { $0.address.isV6 == isV6 } <= 1 }
}

private func isContinued(_ last: PublishedPort, by next: PublishedPort) -> Bool {
    last.hostIP == next.hostIP && last.transport == next.transport && last.balance == next.balance
        && Int(last.port) + 1 == Int(next.port)
        && last.backends.map(\.address) == next.backends.map(\.address)
}

private func isBefore(_ left: PublishedPort, _ right: PublishedPort) -> Bool {
    (left.transport.rawValue, left.hostIP?.description ?? "", left.port)
        < (right.transport.rawValue, right.hostIP?.description ?? "", right.port)
}
