/// What a host is good for (containerd, "hosts.toml").
public enum RegistryCapability: String, Sendable, CaseIterable {
    /// Content by digest.
    case pull
    /// Tags, and lists: what must be up to date.
    case resolve
    case push
}

/// One place that serves a registry: itself or a mirror.
struct RegistryEndpoint: Hashable, Sendable {
    /// The host in image names.
    var registry: String
    /// Of its API, with `/v2` or what stands for it.
    var url: RegistryURL
    var capabilities = Set(RegistryCapability.allCases)
    var tls = TLSSettings()
    /// Sent along, to this host only.
    var headers: [String: [String]] = [:]
    /// The registry itself.
    var isOrigin: Bool
    /// May be asked without TLS when it does not speak it: this machine's own, without configuration.
    var mayBePlain = false

    /// For messages.
    var host: String { isOrigin ? registry : url.authority }
    /// By what its credentials are found.
    var credentialHost: String { isOrigin ? registry : url.authority }

    /// What a connection elsewhere trusts; a client certificate is shown to the registry alone.
    func tls(for other: RegistryURL) -> TLSSettings {
        if other.isSameOrigin(as: url) { return tls }
        var tls = tls
        tls.clientCertificate = nil
        tls.clientKey = nil
        return tls
    }
}
