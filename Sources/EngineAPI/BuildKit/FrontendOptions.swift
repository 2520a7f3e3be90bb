import BuildKitProtocol
import EngineWire
import FoundationEssentials
import StackModel

/// A request of the Dockerfile frontend (moby/buildkit, frontend/dockerui/config.go) as one of ours.
struct FrontendOptions {
    /// What a named context is.
    enum Context: Equatable {
        /// A folder that the client offers under this name.
        case local(String)
        case other(String)
    }

    private(set) var build = BuildRequest(context: .none)
    /// What the client calls the folders of the context and of the Dockerfile.
    private(set) var contextFolder = "context"
    private(set) var dockerfileFolder = "dockerfile"
    private(set) var dockerfile = "Dockerfile"
    private(set) var contexts: [String: Context] = [:]

    init(_ options: [String: String]) throws(GRPCStatus) {
        if let subject = options["requestid"], !subject.isEmpty {
            throw GRPCStatus(.unimplemented, "this engine builds only: \(subject) is not answered")
        }
        for (key, value) in options.sorted(by: { $0.key < $1.key }) { try take(key, value) }
    }

    private mutating func take(_ key: String, _ value: String) throws(GRPCStatus) {
        if let colon = key.firstIndex(of: ":") {
            return take(kind: key[..<colon], name: String(key[key.index(after: colon)...]), value)
        }
        switch key {
        case "filename": dockerfile = value
        case "target": build.target = value.isEmpty ? nil : value
        case "contextkey": contextFolder = value
        case "dockerfilekey": dockerfileFolder = value
        case "context": build.context = .url(value)
        case "no-cache": if value.isEmpty { build.noCache = true } else { build.noCacheFilter = Self.list(value) }
        case "image-resolve-mode": build.pull = value == "pull"
        case "platform": build.platforms = Self.list(value)
        case "force-network-mode": build.network = ["host", "none"].contains(value) ? value : nil
        case "shm-size": build.shmSize = Int64(value)
        case "add-hosts": build.extraHosts = try Self.hosts(value)
        case "ulimit": build.ulimits = try Self.ulimits(value)
        case "cache-from": build.cacheFrom += Self.list(value)
        case "cache-imports": build.cacheFrom += Self.imports(value)
        default: break
        }
    }

    private mutating func take(kind: Substring, name: String, _ value: String) {
        switch kind {
        case "build-arg": build.arguments[name] = value
        case "label": build.labels[name] = value
        case "context":
            // `NAME::PLATFORM` is for one platform alone.
            let name = name.components(separatedBy: "::").first ?? name
            contexts[name] = value.hasPrefix("local:") ? .local(String(value.dropFirst(6))) : .other(value)
        default: break
        }
    }

    private static func list(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }

    /// `NAME=ADDRESS`, separated by commas.
    private static func hosts(_ text: String) throws(GRPCStatus) -> [ExtraHost] {
        var hosts: [ExtraHost] = []
        for entry in list(text) {
            let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw GRPCStatus(.invalidArgument, "invalid add-hosts: \(entry)") }
            hosts.append(ExtraHost(name: parts[0], address: parts[1]))
        }
        return hosts
    }

    /// `NAME=SOFT:HARD`, separated by commas.
    private static func ulimits(_ text: String) throws(GRPCStatus) -> [String: Ulimit] {
        var limits: [String: Ulimit] = [:]
        for entry in list(text) {
            let parts = entry.split(separator: "=", maxSplits: 1)
            let numbers = (parts.last ?? "").split(separator: ":").map { Int64($0) }
            guard parts.count == 2, let soft = numbers.first ?? nil, let hard = numbers.last ?? nil else {
                throw GRPCStatus(.invalidArgument, "invalid ulimit: \(entry)")
            }
            limits[String(parts[0])] = Ulimit(soft: soft, hard: hard)
        }
        return limits
    }

    private struct CacheImport: Decodable {
        var `Type`: String
        var Attrs: [String: String]?
    }

    /// What is not a registry's is no source of ours; a cache that is not used changes nothing of the result.
    private static func imports(_ json: String) -> [String] {
        // As above: a list that cannot be read is a cache that is not used.
        let all = (try? JSONDecoder().decode([CacheImport].self, from: Data(json.utf8))) ?? []
        return all.filter { $0.Type == "registry" }.compactMap { $0.Attrs?["ref"] }
    }

    // MARK: - What becomes of it

    /// The image's names.
    ///
    /// - Throws: for what this engine does not export to.
    static func tags(_ exporters: [SolveRequest.Exporter]) throws(GRPCStatus) -> [String] {
        var tags: [String] = []
        for exporter in exporters {
            switch exporter.type {
            case "cacheonly": continue
            case "moby", "image": break
            default:
                throw GRPCStatus(
                    .unimplemented,
                    "output of type \(exporter.type) is not served: this engine builds into its image store")
            }
            guard !["true", "1"].contains(exporter.attributes["push"] ?? "") else {
                throw GRPCStatus(.unimplemented, "a build is not pushed by the engine: push the image afterwards")
            }
            tags += list(exporter.attributes["name"] ?? "")
        }
        return tags
    }
}

/// What a Dockerfile will ask the client for.
struct DockerfileWants {
    /// Ids of secrets that a RUN may mount.
    private(set) var secrets: Set<String> = []
    /// Hosts of registries that a FROM or a COPY --from names.
    private(set) var registries: Set<String> = []

    /// - Parameter text: a rough look is enough: what is found in vain is asked for in vain.
    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            for word in line.split(whereSeparator: { $0 == " " || $0 == "\t" }) {
                if word.hasPrefix("--mount=") { take(mount: word.dropFirst("--mount=".count)) }
                take(image: word.hasPrefix("--from=") ? word.dropFirst("--from=".count) : word)
            }
        }
    }

    private mutating func take(mount: Substring) {
        var values: [Substring: Substring] = [:]
        for part in mount.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { values[pair[0]] = pair[1] }
        }
        guard values["type"] == "secret" else { return }
        let target = values["target"] ?? values["dst"] ?? values["destination"]
        guard let id = values["id"] ?? target?.split(separator: "/").last else { return }
        secrets.insert(id.trimmingPrefix("\"").description)
    }

    /// `HOST/NAME`, where the host has a dot or a port or is `localhost`.
    private mutating func take(image: Substring) {
        guard let slash = image.firstIndex(of: "/") else { return }
        let host = image[..<slash]
        if host == "localhost" || (host.contains { $0 == "." || $0 == ":" } && !host.hasPrefix(".")) {
            registries.insert(String(host))
        }
    }
}
