import StackModel

// Pure: the three files every container gets its own copy of.

private let loopbackHosts = [
    "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix", "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters",
]

/// `/etc/hosts`: the loopback names, or all of the host's in its network; the container's own on each address, and
/// `extra_hosts`.
func hostsFile(
    hostFile: String? = nil, hostname: String, domainname: String?, addresses: [String],
    extra: [(name: String, address: String)]
) -> String {
    var lines = hostFile.map { $0.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) } ?? []
    // What follows the last newline.
    if lines.last?.isEmpty == true { lines.removeLast() }
    if lines.isEmpty { lines = loopbackHosts }
    for entry in extra { lines.append("\(entry.address)\t\(entry.name)") }
    let names = domainname.map { "\(hostname).\($0) \(hostname)" } ?? hostname
    for address in addresses { lines.append("\(address)\t\(names)") }
    return lines.joined(separator: "\n") + "\n"
}

/// `/etc/resolv.conf`: the embedded server, with the service's or the host's search list.
func resolvConf(_ service: Service, hostFile: String, embedded: Bool) -> String {
    let host = hostFile.split(separator: "\n").map { $0.split(whereSeparator: { $0 == " " || $0 == "\t" }) }
    func hostValues(_ key: String) -> [String] {
        host.last { $0.first == key[...] }.map { $0.dropFirst().map(String.init) } ?? []
    }
    var lines: [String] = []
    if embedded {
        lines.append("nameserver 127.0.0.11")
    } else if !service.dns.isEmpty {
        lines += service.dns.map { "nameserver \($0)" }
    } else {
        lines += host.filter { $0.first == "nameserver" }.map { $0.joined(separator: " ") }
    }
    let search = service.dnsSearch.isEmpty ? hostValues("search") : service.dnsSearch.filter { $0 != "." }
    if !search.isEmpty { lines.append("search \(search.joined(separator: " "))") }
    var options = service.dnsOptions.isEmpty ? hostValues("options") : service.dnsOptions
    if embedded, !options.contains(where: { $0.hasPrefix("ndots:") }) { options.append("ndots:0") }
    if !options.isEmpty { lines.append("options \(options.joined(separator: " "))") }
    return lines.joined(separator: "\n") + "\n"
}
