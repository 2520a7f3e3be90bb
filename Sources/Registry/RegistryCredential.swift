import FoundationEssentials
import Images
import JSONDocument

/// What a user shows to a registry. Never printed: descriptions leave the secret out.
public enum RegistryCredential: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    case password(username: String, password: String)
    /// An OAuth2 refresh token, for which access tokens are asked.
    case identityToken(String)
    /// A bearer token for the registry itself.
    case registryToken(String)

    public var description: String {
        switch self {
        case .password(let username, _): "password of \(harmless(username))"
        case .identityToken: "identity token"
        case .registryToken: "registry token"
        }
    }

    public var customMirror: Mirror { Mirror(self, children: []) }

    /// `Basic` with base64 (RFC 7617); nil without a user's name and password.
    public var basicAuthorization: String? {
        guard case .password(let username, let password) = self else { return nil }
        return "Basic " + Data("\(username):\(password)".utf8).base64EncodedString()
    }
}

/// An entry of `auths` in Docker's `config.json`, and the content of the header X-Registry-Auth.
struct AuthEntry: Codable {
    var auth: String?
    var username: String?
    var password: String?
    var identitytoken: String?
    var registrytoken: String?

    /// nil for an empty entry, such as credential helpers leave; throws for one that cannot be read.
    func credential(what: String) throws(RegistryError) -> RegistryCredential? {
        if let token = identitytoken, !token.isEmpty { return .identityToken(token) }
        if let token = registrytoken, !token.isEmpty { return .registryToken(token) }
        if let auth, !auth.isEmpty {
            guard let bytes = Data(base64Encoded: auth), let text = String(validating: bytes, as: UTF8.self),
                let colon = text.firstIndex(of: ":")
            else { throw .credentials("\(what): auth is not base64 of USER:PASSWORD") }
            // Docker pads some old entries with NUL.
            let password = text[text.index(after: colon)...].prefix { $0 != "\0" }
            return .password(username: String(text[..<colon]), password: String(password))
        }
        guard let username, !username.isEmpty else { return nil }
        return .password(username: username, password: password ?? "")
    }
}

extension RegistryCredential {
    private static let headerByteCountMax = 64 << 10

    /// The header `X-Registry-Auth` of Docker's API: JSON in base64url (RFC 4648 section 5), padded or not. nil for
    /// a header that names nobody.
    public static func parse(registryAuthHeader text: String) throws(RegistryError) -> RegistryCredential? {
        try decode(AuthEntry.self, text, "X-Registry-Auth")?.credential(what: "X-Registry-Auth")
    }

    /// The header `X-Registry-Config` of builds: the same for many registries, by host or by Docker Hub's old address.
    public static func parse(
        registryConfigHeader text: String
    ) throws(RegistryError) -> [String: RegistryCredential] {
        let entries = try decode([String: AuthEntry].self, text, "X-Registry-Config") ?? [:]
        var credentials: [String: RegistryCredential] = [:]
        for (address, entry) in entries.sorted(by: { $0.key < $1.key }) {
            var host = address[...]
            for scheme in ["https://", "http://"] where host.hasPrefix(scheme) { host = host.dropFirst(scheme.count) }
            host = host.prefix { $0 != "/" }
            let isHub = ["index.docker.io", "registry-1.docker.io"].contains(host)
            credentials[isHub ? ImageReference.defaultRegistry : String(host)] =
                try entry.credential(what: "X-Registry-Config")
        }
        return credentials
    }

    /// JSON in base64url; nil for no text.
    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ text: String, _ header: String
    ) throws(RegistryError) -> Value? {
        let bad = RegistryError.credentials("\(header) is not JSON in base64url")
        guard text.utf8.count <= headerByteCountMax else { throw bad }
        if text.isEmpty { return nil }
        var base64 = text.filter { $0 != "=" }
        base64 = String(base64.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        guard let bytes = Data(base64Encoded: base64) else { throw bad }
        do {
            return try JSONDecoder().decode(Value.self, from: bytes)
        } catch {
            throw bad
        }
    }

    /// The same the other way round.
    public func registryAuthHeader(host: String) -> String {
        var object: [String: String] = ["serveraddress": host]
        switch self {
        case .password(let username, let password):
            object["username"] = username
            object["password"] = password
        case .identityToken(let token): object["identitytoken"] = token
        case .registryToken(let token): object["registrytoken"] = token
        }
        let json = JSONValue.object(object.mapValues { .string($0) }).encoded
        return String(Data(json).base64EncodedString().map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
    }
}
