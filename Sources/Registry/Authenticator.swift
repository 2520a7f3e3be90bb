import FoundationEssentials
import Synchronization

/// Knows how each registry wants to be asked, and gets and keeps tokens (distribution, "Token Authentication
/// Specification" and its OAuth2 variant).
final class Authenticator: Sendable {
    /// What a registry wanted the last time.
    private enum Manner: Sendable {
        case basic
        case bearer(realm: String, service: String?)
    }

    private struct Origin: Hashable {
        var url: RegistryURL
        var credential: RegistryCredential?
    }

    private let transport: any HTTPTransport
    private let clock: RegistryClock
    private let retry: RetryPolicy
    private let cache = TokenCache()
    private let manners = Mutex<[Origin: Manner]>([:])
    /// One fetch at a time of each kind: those who wait find the token when their turn comes.
    private let turns = Mutex<[TokenKey: Turn]>([:])

    private final class Turn: Sendable { let taken = Mutex<Void>(()) }

    init(transport: any HTTPTransport, clock: RegistryClock, retry: RetryPolicy) {
        self.transport = transport
        self.clock = clock
        self.retry = retry
    }

    /// What to send at once, so that most requests are sent once only.
    func knownAuthorization(
        _ endpoint: RegistryEndpoint, _ credential: RegistryCredential?, _ scopes: ScopeSet, stop: Cancellation
    ) throws(RegistryError) -> String? {
        if case .registryToken(let token)? = credential { return try Self.bearer(token, endpoint.host) }
        switch manners.withLock({ $0[origin(endpoint, credential)] }) {
        case nil: return nil
        case .basic: return credential?.basicAuthorization
        case .bearer(let realm, let service):
            let token = try token(
                TokenKey(realm: realm, service: service, credential: credential), scopes, endpoint, stop, refresh: nil)
            return try Self.bearer(token, endpoint.host)
        }
    }

    /// After a refusal: what to send next; throws when there is nothing left to try. `used` is what was refused.
    func authorization(
        after response: HTTPResponse, _ flow: inout AuthenticationFlow, used: String?, _ endpoint: RegistryEndpoint,
        _ credential: RegistryCredential?, stop: Cancellation
    ) throws(RegistryError) -> String {
        guard let challenges = Challenge.parse(response.headers.all("www-authenticate")) else {
            throw .invalidResponse(host: endpoint.host, why: "malformed WWW-Authenticate")
        }
        let isForbidden = response.status == 403
        let action = flow.next(
            isForbidden: isForbidden, challenges: challenges, hasPassword: credential?.basicAuthorization != nil)
        switch action {
        case .giveUp:
            // A token in the user's name was taken and does not do: logging in again would not help.
            let isKnown = credential != nil && flow.hasTriedToken
            throw Self.refusal(response, host: endpoint.registry, isForbidden: isForbidden || isKnown)
        case .sendBasic:
            manners.withLock { $0[origin(endpoint, credential)] = .basic }
            return credential?.basicAuthorization ?? ""
        case .fetchToken(let realm, let service, let scopes):
            if case .registryToken? = credential {
                throw Self.refusal(response, host: endpoint.registry, isForbidden: isForbidden)
            }
            manners.withLock { $0[origin(endpoint, credential)] = .bearer(realm: realm, service: service) }
            let key = TokenKey(realm: realm, service: service, credential: credential)
            return try Self.bearer(token(key, scopes, endpoint, stop, refresh: used), endpoint.host)
        }
    }

    private func origin(_ endpoint: RegistryEndpoint, _ credential: RegistryCredential?) -> Origin {
        var url = endpoint.url
        url.path = ""
        return Origin(url: url, credential: credential)
    }

    static func refusal(_ response: HTTPResponse, host: String, isForbidden: Bool) -> RegistryError {
        let message = ErrorDocument.details(response.body).map(\.message).first { !$0.isEmpty } ?? ""
        return isForbidden ? .denied(host: host, message: message) : .unauthorized(host: host, message: message)
    }

    /// A token becomes part of a header: nothing that could end the line.
    private static func bearer(_ token: String, _ host: String) throws(RegistryError) -> String {
        guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw .invalidResponse(host: host, why: "a token with forbidden characters")
        }
        return "Bearer \(token)"
    }

    // MARK: - Tokens

    /// From the cache, or asked for. `refresh` is an authorization that was just refused and not to be given again.
    private func token(
        _ key: TokenKey, _ scopes: ScopeSet, _ endpoint: RegistryEndpoint, _ stop: Cancellation, refresh: String?
    ) throws(RegistryError) -> String {
        let turn = turns.withLock { turns in
            let turn = turns[key] ?? Turn()
            turns[key] = turn
            return turn
        }
        return try turn.taken.withLock { _ throws(RegistryError) in
            if let refresh, refresh.hasPrefix("Bearer ") {
                cache.remove(String(refresh.dropFirst("Bearer ".count)), key)
            }
            if let known = cache.token(key, scopes, now: clock.now()) { return known }
            let answer = try fetch(key, scopes, endpoint, stop)
            guard let token = answer.token ?? answer.accessToken else {
                throw .invalidResponse(host: endpoint.host, why: "no token in the answer of \(harmless(key.realm))")
            }
            let lifeSecondsDefault: Int64 = 60
            let lifeSecondsMax: Int64 = 3600 * 24
            let life = min(max(answer.expiresIn ?? lifeSecondsDefault, lifeSecondsDefault), lifeSecondsMax)
            cache.insert(token, key, scopes, lifeSeconds: life, now: clock.now())
            return token
        }
    }

    private struct TokenDocument: Decodable {
        var token: String?
        var accessToken: String?
        var expiresIn: Int64?

        enum CodingKeys: String, CodingKey {
            case token
            case accessToken = "access_token"
            case expiresIn = "expires_in"
        }
    }

    private func fetch(
        _ key: TokenKey, _ scopes: ScopeSet, _ endpoint: RegistryEndpoint, _ stop: Cancellation
    ) throws(RegistryError) -> TokenDocument {
        let request = try request(key, scopes, endpoint)
        let host = request.url.authority
        var attempt = 0
        while true {
            attempt += 1
            do throws(RegistryError) {
                let response = try transport.perform(request, stop: stop, nil)
                switch response.status {
                case 200..<300:
                    return try decodeDocument(TokenDocument.self, response.body, host: host, what: "its token")
                case 400, 401, 403:
                    // OAuth2 answers 400 to a refresh token that is no more (RFC 6749 section 5.2).
                    throw Self.refusal(response, host: endpoint.registry, isForbidden: response.status == 403)
                default: throw ErrorDocument.error(response, host: host, what: "token", retry: retry)
                }
            } catch {
                guard error.isTransient, attempt < retry.attemptCountMax, !stop.isCancelled else { throw error }
                clock.sleep(retry.delay(after: error, attempt: attempt - 1, clock), stop)
            }
        }
    }

    private func request(
        _ key: TokenKey, _ scopes: ScopeSet, _ endpoint: RegistryEndpoint
    ) throws(RegistryError) -> HTTPRequest {
        guard var url = endpoint.url.resolving(key.realm), key.realm.contains("://") else {
            throw .invalidResponse(host: endpoint.host, why: "bad realm \(harmless(key.realm))")
        }
        // A password must not leave in the clear because a server says so.
        guard url.scheme == .https || endpoint.url.scheme == .http || url.isLoopback else {
            throw .invalidResponse(host: endpoint.host, why: "its realm \(harmless(key.realm)) is not https")
        }
        let byteCountMax = 256 << 10
        var request = HTTPRequest(url: url, tls: endpoint.tls(for: url), answerByteCountMax: byteCountMax)
        request.headers.add("accept", "application/json")
        if case .identityToken(let refresh)? = key.credential {
            request.method = "POST"
            request.headers.add("content-type", "application/x-www-form-urlencoded")
            var form = [("grant_type", "refresh_token"), ("client_id", "gantry"), ("refresh_token", refresh)]
            if let service = key.service { form.append(("service", service)) }
            form.append(("scope", scopes.scopes.map(\.description).joined(separator: " ")))
            let text = form.map { "\($0.0)=\(percentEncoded($0.1))" }.joined(separator: "&")
            request.body = MemorySupply(bytes: Array(text.utf8))
            return request
        }
        if let service = key.service { url.appendQuery("service", service) }
        for scope in scopes.scopes { url.appendQuery("scope", scope.description) }
        if case .password(let username, _)? = key.credential {
            url.appendQuery("account", username)
            if let basic = key.credential?.basicAuthorization { request.headers.add("authorization", basic) }
        }
        request.url = url
        return request
    }
}
