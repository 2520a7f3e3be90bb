/// One `hosts.toml` (containerd, docs/hosts.md). Unknown settings are refused: what a mirror would be told otherwise
/// must not be guessed.
struct HostsFile {
    private struct Settings {
        var url: RegistryURL
        var capabilities: Set<RegistryCapability>?
        var authorities: [String] = []
        var clientCertificate: String?
        var clientKey: String?
        var skipsVerification = false
        var headers: [String: [String]] = [:]
        var overridesPath = false
    }

    private let folder: String
    private let origin: RegistryEndpoint
    private var server: Settings
    private var hosts: [(name: String, settings: Settings)] = []

    private var path: String { "\(folder)/hosts.toml" }

    /// `origin` is the registry as it would be without the file.
    init(parsing bytes: [UInt8], folder: String, origin: RegistryEndpoint) throws(RegistryError) {
        self.folder = folder
        self.origin = origin
        server = Settings(url: origin.url)
        let document = try TOMLDocument(parsing: bytes, path: "\(folder)/hosts.toml")
        for table in document.tables where table.path.first == "host" && table.path.count == 2 {
            try addHost(table.path[1], line: table.line)
        }
        for entry in document.entries { try add(entry) }
    }

    private func fail(_ line: Int, _ why: String) -> RegistryError { .configuration(path: path, line: line, why: why) }

    private mutating func add(_ entry: TOMLDocument.Entry) throws(RegistryError) {
        if entry.path == ["server"] {
            server.url = try url(string(entry), entry.line)
            return
        }
        guard entry.path.first == "host", entry.path.count > 2 else {
            return try set(&server, entry.path[...], entry)
        }
        let name = entry.path[1]
        try addHost(name, line: entry.line)
        guard let index = hosts.firstIndex(where: { $0.name == name }) else { return }
        try set(&hosts[index].settings, entry.path[2...], entry)
    }

    private mutating func addHost(_ name: String, line: Int) throws(RegistryError) {
        guard !hosts.contains(where: { $0.name == name }) else { return }
        hosts.append((name, Settings(url: try url(name, line))))
    }

    private func url(_ text: String, _ line: Int) throws(RegistryError) -> RegistryURL {
        guard let url = RegistryURL(text.contains("://") ? text : "https://\(text)"), url.query == nil else {
            throw fail(line, "\(harmless(text)) is no http or https address")
        }
        return url
    }

    private func set(
        _ settings: inout Settings, _ path: ArraySlice<String>, _ entry: TOMLDocument.Entry
    ) throws(RegistryError) {
        let name = path.first ?? ""
        guard path.count == (name == "header" ? 2 : 1) else { throw unknown(entry) }
        switch name {
        case "capabilities":
            settings.capabilities = []
            for word in try strings(entry) {
                guard let capability = RegistryCapability(rawValue: word) else {
                    throw fail(entry.line, "capabilities are pull, resolve and push, not \(harmless(word))")
                }
                settings.capabilities?.insert(capability)
            }
        case "ca": settings.authorities = try strings(entry).map(absolute)
        case "client": try setClient(&settings, entry)
        case "skip_verify": settings.skipsVerification = try bool(entry)
        case "override_path": settings.overridesPath = try bool(entry)
        case "header":
            let values = try strings(entry)
            guard (values + [path.last ?? ""]).allSatisfy(Self.isHeaderText) else {
                throw fail(entry.line, "a header has forbidden characters")
            }
            settings.headers[path.last ?? ""] = values
        // Ours is fixed.
        case "dial_timeout": break
        default: throw unknown(entry)
        }
    }

    private func unknown(_ entry: TOMLDocument.Entry) -> RegistryError {
        fail(entry.line, "unknown setting \(harmless(entry.path.last ?? ""))")
    }

    private static func isHeaderText(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
    }

    /// `"both.pem"`, `["both.pem"]` or `[["cert.pem", "key.pem"]]`.
    private func setClient(_ settings: inout Settings, _ entry: TOMLDocument.Entry) throws(RegistryError) {
        var files: [String]
        if case .array(let pairs) = entry.value, case .array? = pairs.first {
            guard pairs.count == 1, let pair = pairs.first else {
                throw fail(entry.line, "one client certificate only")
            }
            files = try strings(TOMLDocument.Entry(path: entry.path, value: pair, line: entry.line))
            guard files.count == 2 else { throw fail(entry.line, "a pair is a certificate and its key") }
        } else {
            files = try strings(entry)
            guard files.count == 1 else { throw fail(entry.line, "one client certificate only") }
        }
        files = files.map(absolute)
        settings.clientCertificate = files.first
        settings.clientKey = files.last
    }

    private func absolute(_ file: String) -> String { file.hasPrefix("/") ? file : "\(folder)/\(file)" }

    private func string(_ entry: TOMLDocument.Entry) throws(RegistryError) -> String {
        guard case .string(let text) = entry.value else { throw fail(entry.line, "a string is wanted here") }
        return text
    }

    private func strings(_ entry: TOMLDocument.Entry) throws(RegistryError) -> [String] {
        if case .string(let text) = entry.value { return [text] }
        guard case .array(let values) = entry.value else { throw fail(entry.line, "strings are wanted here") }
        var texts: [String] = []
        for value in values {
            guard case .string(let text) = value else { throw fail(entry.line, "strings are wanted here") }
            texts.append(text)
        }
        return texts
    }

    private func bool(_ entry: TOMLDocument.Entry) throws(RegistryError) -> Bool {
        guard case .bool(let value) = entry.value else { throw fail(entry.line, "true or false is wanted here") }
        return value
    }

    // MARK: - Endpoints

    func endpoints(
        _ readAuthority: (String) throws(RegistryError) -> [UInt8]
    ) throws(RegistryError) -> [RegistryEndpoint] {
        var endpoints: [RegistryEndpoint] = []
        for host in hosts { endpoints.append(try endpoint(host.settings, isOrigin: false, readAuthority)) }
        endpoints.append(try endpoint(server, isOrigin: true, readAuthority))
        return endpoints
    }

    private func endpoint(
        _ settings: Settings, isOrigin: Bool, _ readAuthority: (String) throws(RegistryError) -> [UInt8]
    ) throws(RegistryError) -> RegistryEndpoint {
        var url = settings.url
        while url.path.hasSuffix("/") { url.path.removeLast() }
        // containerd adds the version unless it is there.
        if !settings.overridesPath, !url.path.hasSuffix("/v2") { url.path += "/v2" }
        var tls = TLSSettings()
        for file in settings.authorities { tls.authorities += try readAuthority(file) + [UInt8(ascii: "\n")] }
        tls.clientCertificate = settings.clientCertificate
        tls.clientKey = settings.clientKey
        tls.skipsVerification = settings.skipsVerification
        // A table for the registry's own address is the registry, not a mirror of it.
        let isItself = isOrigin || url.isSameOrigin(as: origin.url)
        return RegistryEndpoint(
            registry: origin.registry, url: url,
            capabilities: settings.capabilities ?? Set(RegistryCapability.allCases), tls: tls,
            headers: settings.headers, isOrigin: isItself)
    }
}
