import Images
import Synchronization

/// What requests share whoever makes them: connections, tokens, and what was learnt of hosts. One for a program.
public final class RegistryConnections: Sendable {
    let transport: any HTTPTransport
    let authenticator: Authenticator
    let clock: RegistryClock
    let retry: RetryPolicy
    /// Hosts of this machine that turned out not to speak TLS.
    private let plain = Mutex<Set<RegistryURL>>([])

    public convenience init(retry: RetryPolicy = RetryPolicy()) {
        self.init(transport: CurlTransport(), clock: .system, retry: retry)
    }

    init(transport: any HTTPTransport, clock: RegistryClock, retry: RetryPolicy) {
        self.transport = transport
        self.clock = clock
        self.retry = retry
        authenticator = Authenticator(transport: transport, clock: clock, retry: retry)
    }

    func isPlain(_ url: RegistryURL) -> Bool { plain.withLock { $0.contains(url) } }
    func rememberPlain(_ url: RegistryURL) { plain.withLock { _ = $0.insert(url) } }
}

/// A repository of a registry: `docker.io` and `library/nginx`.
public struct RepositoryName: Hashable, Sendable, CustomStringConvertible {
    public var registry: String
    public var repository: String

    public init(_ reference: ImageReference) {
        registry = reference.registry
        repository = reference.repository
    }

    public var description: String { "\(registry)/\(repository)" }
}

/// Registries by the OCI distribution specification. Its functions block, and may run on any threads at once.
public final class RegistryClient: Sendable {
    let connections: RegistryConnections
    let credentials: any CredentialSource
    let hosts: RegistryHosts
    /// Ends every request of this client.
    public let stop: Cancellation
    /// What `credentials` said, so that its files and programs are asked once.
    private let known = Mutex<[String: RegistryCredential?]>([:])

    public init(
        _ connections: RegistryConnections, credentials: any CredentialSource, hosts: RegistryHosts = RegistryHosts(),
        stop: Cancellation = Cancellation()
    ) {
        self.connections = connections
        self.credentials = credentials
        self.hosts = hosts
        self.stop = stop
    }

    func credential(host: String, repository: String?) throws(RegistryError) -> RegistryCredential? {
        let key = "\(host)/\(repository ?? "")"
        if let answer = known.withLock({ $0[key] }) { return answer }
        let answer = try credentials.credential(host: host, repository: repository)
        known.withLock { $0[key] = .some(answer) }
        return answer
    }

    /// Whether the credentials do; a registry that asks for none takes any. Answers the API root (distribution-spec,
    /// end-1).
    public func verifyLogin(registry: String) throws(RegistryError) {
        var call = RegistryCall(registry: registry, path: "/", what: registry)
        call.capability = .push
        _ = try perform(call)
    }
}

/// One request to a registry, wherever it is served.
struct RegistryCall {
    var registry: String
    /// For credentials of single repositories.
    var repository: String?
    var method = "GET"
    /// After `/v2`, and a query if need be.
    var path: String
    /// What the request is for, in the words of an error.
    var what: String
    var headers = HTTPHeaders()
    var body: (any ByteSupply)?
    var scopes = ScopeSet()
    var capability = RegistryCapability.resolve
    /// An address that this endpoint gave, instead of `path`.
    var continuation: (endpoint: RegistryEndpoint, url: RegistryURL)?
    var accepted: Set<Int> = [200]
    var answerByteCountMax = 4 << 20
    /// How long the server may take where that is longer than usual.
    var stallSecondsMin: Int64 = 0
    /// Looks at an accepted answer; what it throws counts as the request's failure.
    var check: (HTTPResponse) throws(RegistryError) -> Void = { _ in }

    init(registry: String, path: String, what: String) {
        self.registry = registry
        self.path = path
        self.what = what
    }

    /// `path` after the repository's name.
    init(_ name: RepositoryName, _ path: String, actions: Set<String> = ["pull"], what: String) {
        self.init(registry: name.registry, path: "/\(name.repository)/\(path)", what: what)
        repository = name.repository
        scopes = ScopeSet([.repository(name.repository, actions)])
    }
}

/// An answer and who gave it.
struct RegistryAnswer {
    var response: HTTPResponse
    var endpoint: RegistryEndpoint
}
