import Glibc
import LinuxSystem

/// Where each registry is found, as folders `certs.d/HOST[:PORT]` say: containerd's `hosts.toml`, or Docker's `*.crt`,
/// `*.cert` and `*.key`. Read at each use, so that changes need no restart.
public struct RegistryHosts: Sendable {
    /// In order; the first that has something for a host decides.
    public let folders: [String]

    public static let standardFolders = ["/etc/gantry/certs.d", "/etc/containerd/certs.d", "/etc/docker/certs.d"]
    static let hubHost = "registry-1.docker.io"
    private static let fileByteCountMax = 1 << 20

    public init(folders: [String] = RegistryHosts.standardFolders) {
        self.folders = folders
    }

    /// Mirrors first, the registry itself last.
    func endpoints(_ registry: String) throws(RegistryError) -> [RegistryEndpoint] {
        var origin = try origin(registry)
        for folder in candidates(registry) {
            if let bytes = try read("\(folder)/hosts.toml") {
                return try HostsFile(parsing: bytes, folder: folder, origin: origin).endpoints(readAuthority)
            }
            if let tls = try dockerSettings(folder) {
                origin.tls = tls
                origin.mayBePlain = false
                return [origin]
            }
        }
        return [origin]
    }

    private func origin(_ registry: String) throws(RegistryError) -> RegistryEndpoint {
        let host = registry == "docker.io" ? Self.hubHost : registry
        guard let url = RegistryURL(scheme: .https, authority: host, path: "/v2"), !registry.contains("..") else {
            throw .invalidReference("bad host of a registry: \(harmless(registry))")
        }
        var endpoint = RegistryEndpoint(registry: registry, url: url, isOrigin: true)
        endpoint.mayBePlain = url.isLoopback
        return endpoint
    }

    /// containerd writes `host_port_` where a colon cannot be in a name.
    private func candidates(_ registry: String) -> [String] {
        var names = [registry]
        let port = registry.reversed().prefix { $0.isNumber }
        if !port.isEmpty, registry.dropLast(port.count).hasSuffix(":") {
            names.append("\(registry.dropLast(port.count + 1))_\(String(port.reversed()))_")
        }
        return folders.flatMap { folder in names.map { "\(folder)/\($0)" } } + folders.map { "\($0)/_default" }
    }

    /// nil without such a file.
    private func read(_ path: String) throws(RegistryError) -> [UInt8]? {
        do throws(SystemError) {
            return try FileSystem.readFile(path, byteCountMax: Self.fileByteCountMax)
        } catch {
            if error.code == ENOENT || error.code == ENOTDIR { return nil }
            throw .system(error)
        }
    }

    private func readAuthority(_ path: String) throws(RegistryError) -> [UInt8] {
        guard let bytes = try read(path) else {
            throw .configuration(path: path, line: 0, why: "there is no such file")
        }
        return bytes
    }

    /// dockerd(8), "certs.d"; nil for a folder without certificates.
    private func dockerSettings(_ folder: String) throws(RegistryError) -> TLSSettings? {
        guard FileSystem.exists(folder) else { return nil }
        let names = try converting { () throws(SystemError) in try FileSystem.list(folder) }
        var tls = TLSSettings()
        for name in names {
            if name.hasSuffix(".crt") {
                tls.authorities += try readAuthority("\(folder)/\(name)") + [UInt8(ascii: "\n")]
            } else if name.hasSuffix(".cert") {
                let key = "\(folder)/\(name.dropLast(".cert".count)).key"
                guard FileSystem.exists(key) else {
                    throw .configuration(path: "\(folder)/\(name)", line: 0, why: "its key \(key) is missing")
                }
                tls.clientCertificate = "\(folder)/\(name)"
                tls.clientKey = key
            }
        }
        return tls == TLSSettings() ? nil : tls
    }
}
