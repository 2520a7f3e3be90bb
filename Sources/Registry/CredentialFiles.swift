import FoundationEssentials
import Glibc
import JSONDocument
import LinuxSystem

/// Where credentials come from.
public protocol CredentialSource: Sendable {
    /// For `host` as in image names, and the repository when one is meant. nil for nobody.
    func credential(host: String, repository: String?) throws(RegistryError) -> RegistryCredential?
}

/// Nobody anywhere.
public struct NoCredentials: CredentialSource {
    public init() {}
    public func credential(host: String, repository: String?) throws(RegistryError) -> RegistryCredential? { nil }
}

/// One credential for one host, as a client of the engine hands it in; other hosts get what `others` has.
public struct GivenCredential: CredentialSource {
    private let host: String
    private let given: RegistryCredential
    private let others: any CredentialSource

    public init(host: String, _ given: RegistryCredential, others: any CredentialSource = NoCredentials()) {
        self.host = host
        self.given = given
        self.others = others
    }

    public func credential(host: String, repository: String?) throws(RegistryError) -> RegistryCredential? {
        host == self.host ? given : try others.credential(host: host, repository: repository)
    }
}

/// Docker's `config.json` with its helpers, then Podman's `auth.json` (containers-auth.json(5)).
public struct CredentialFiles: CredentialSource {
    /// Docker's file: `login` and `logout` write it.
    public let dockerPath: String
    let podmanPaths: [String]
    let helpers: CredentialHelper

    static let byteCountMax = 4 << 20
    /// The name under which Docker keeps its hub.
    static let hubKey = "https://index.docker.io/v1/"

    /// By an environment: `DOCKER_CONFIG`, `REGISTRY_AUTH_FILE`, `XDG_RUNTIME_DIR`, `XDG_CONFIG_HOME`, `HOME`, `PATH`.
    public init(environment: [String: String]) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let home = value("HOME") ?? "/root"
        dockerPath = (value("DOCKER_CONFIG") ?? "\(home)/.docker") + "/config.json"
        let settings = value("XDG_CONFIG_HOME") ?? "\(home)/.config"
        podmanPaths = [
            value("REGISTRY_AUTH_FILE"), value("XDG_RUNTIME_DIR").map { "\($0)/containers/auth.json" },
            "\(settings)/containers/auth.json",
        ].compactMap { $0 }
        helpers = CredentialHelper(environment: environment)
    }

    public func credential(host: String, repository: String?) throws(RegistryError) -> RegistryCredential? {
        for path in [dockerPath] + podmanPaths {
            guard let file = try CredentialFile.read(path) else { continue }
            if let found = try file.credential(host: host, repository: repository, helpers) { return found }
        }
        return nil
    }

    // MARK: - Changes

    /// Keeps a credential, with the helper when the file names one for the host.
    public func store(_ credential: RegistryCredential, host: String) throws(RegistryError) {
        var file = try CredentialFile.read(dockerPath) ?? CredentialFile(path: dockerPath, document: .object([:]))
        let key = CredentialFile.key(of: host)
        if let helper = file.helper(for: host) {
            try helpers.store(helper, server: key, credential)
            file.setEntry(key, [:])
        } else {
            file.setEntry(key, CredentialFile.entry(for: credential))
        }
        try write(file)
    }

    /// Forgets a host; `false` when nothing was known of it.
    public func erase(host: String) throws(RegistryError) -> Bool {
        guard var file = try CredentialFile.read(dockerPath) else { return false }
        let key = CredentialFile.key(of: host)
        let helper = file.helper(for: host)
        if let helper { try helpers.erase(helper, server: key) }
        let wasKnown = file.removeEntries(of: host)
        if wasKnown { try write(file) }
        return wasKnown || helper != nil
    }

    private func write(_ file: CredentialFile) throws(RegistryError) {
        let path = dockerPath
        try converting { () throws(SystemError) in
            try FileSystem.makeDirectories(FileSystem.parent(of: path), mode: 0o700)
            // Through a symbolic link: dotfiles are kept elsewhere.
            try FileSystem.writeOutput(path, with: file.document.prettyEncoded + [UInt8(ascii: "\n")], mode: 0o600)
        }
    }
}

/// One file of credentials, read whole; what it holds besides is kept.
struct CredentialFile {
    let path: String
    private(set) var document: JSONValue

    init(path: String, document: JSONValue) {
        self.path = path
        self.document = document
    }

    /// nil without such a file.
    static func read(_ path: String) throws(RegistryError) -> CredentialFile? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try FileSystem.readFile(path, byteCountMax: CredentialFiles.byteCountMax)
        } catch {
            // ENOTDIR: something in between is a file; there is none of ours either way.
            if error.code == ENOENT || error.code == ENOTDIR { return nil }
            throw .system(error)
        }
        if bytes.allSatisfy({ [0x20, 0x09, 0x0a, 0x0d].contains($0) }) {
            return CredentialFile(path: path, document: .object([:]))
        }
        return try CredentialFile(path: path, parsing: bytes)
    }

    init(path: String, parsing bytes: [UInt8]) throws(RegistryError) {
        do {
            document = try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        } catch {
            throw .configuration(path: path, line: 0, why: "it is not JSON")
        }
        guard case .object = document else { throw .configuration(path: path, line: 0, why: "it is no JSON object") }
        self.path = path
    }

    /// What a host is called in `auths`.
    static func key(of host: String) -> String { host == "docker.io" ? CredentialFiles.hubKey : host }

    /// Old files have addresses where newer ones have hosts.
    static func host(of key: String) -> String {
        var rest = key[...]
        for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
        let host = String(rest.prefix { $0 != "/" })
        return ["index.docker.io", "registry-1.docker.io"].contains(host) ? "docker.io" : host
    }

    func helper(for host: String) -> String? {
        let byHost = document.fields["credHelpers"]?.fields ?? [:]
        if let name = (byHost[host] ?? byHost[Self.key(of: host)])?.text { return name }
        return document.fields["credsStore"]?.text.flatMap { $0.isEmpty ? nil : $0 }
    }

    func credential(
        host: String, repository: String?, _ helpers: CredentialHelper
    ) throws(RegistryError) -> RegistryCredential? {
        if let helper = helper(for: host),
            let found = try helpers.credential(helper, server: Self.key(of: host))
        {
            return found
        }
        let entries = document.fields["auths"]?.fields ?? [:]
        for key in Self.candidates(host, repository) {
            if let entry = entries[key], let found = try credential(entry, key) { return found }
        }
        for (key, entry) in entries.sorted(by: { $0.key < $1.key }) where Self.host(of: key) == host {
            // Podman's keys may name a repository: those were compared above.
            let isNamespace = !key.hasPrefix("http") && key.contains("/")
            if !isNamespace, let found = try credential(entry, key) { return found }
        }
        return nil
    }

    /// Longest prefix first.
    private static func candidates(_ host: String, _ repository: String?) -> [String] {
        var candidates: [String] = []
        var parts = (repository ?? "").split(separator: "/")
        while !parts.isEmpty {
            candidates.append("\(host)/\(parts.joined(separator: "/"))")
            parts.removeLast()
        }
        return candidates + [key(of: host), host]
    }

    private func credential(_ value: JSONValue, _ key: String) throws(RegistryError) -> RegistryCredential? {
        let what = "\(path): \(harmless(key))"
        let entry: AuthEntry
        do {
            entry = try JSONDecoder().decode(AuthEntry.self, from: Data(value.encoded))
        } catch {
            throw .credentials("\(what): no such entry can be read")
        }
        return try entry.credential(what: what)
    }

    // MARK: - Changes

    static func entry(for credential: RegistryCredential) -> [String: JSONValue] {
        switch credential {
        case .password(let username, let password):
            ["auth": .string(Data("\(username):\(password)".utf8).base64EncodedString())]
        case .identityToken(let token): ["identitytoken": .string(token)]
        case .registryToken(let token): ["registrytoken": .string(token)]
        }
    }

    mutating func setEntry(_ key: String, _ entry: [String: JSONValue]) {
        document.fields["auths", default: .object([:])].fields[key] = .object(entry)
    }

    /// Every spelling of the host.
    mutating func removeEntries(of host: String) -> Bool {
        let entries = document.fields["auths"]?.fields ?? [:]
        let gone = entries.keys.filter {
            $0 == host || !$0.contains("/") && Self.host(of: $0) == host
                || $0.hasPrefix("http") && Self.host(of: $0) == host
        }
        guard !gone.isEmpty else { return false }
        for key in gone { document.fields["auths", default: .object([:])].fields[key] = nil }
        return true
    }
}
