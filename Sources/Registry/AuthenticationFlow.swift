/// How one request gets past a registry's 401 and 403: what to do after each refusal. A value; `Authenticator` acts.
struct AuthenticationFlow: Equatable, Sendable {
    enum State: Equatable, Sendable {
        /// Sent with what was known of the registry, perhaps nothing.
        case begun
        case triedBasic
        case triedToken(ScopeSet)
        /// With a token for more than the first one.
        case triedWiderToken
    }

    enum Action: Equatable, Sendable {
        case sendBasic
        /// Get a new token, whatever is cached, and send it.
        case fetchToken(realm: String, service: String?, scopes: ScopeSet)
        case giveUp
    }

    private(set) var state = State.begun
    let wanted: ScopeSet

    var hasTriedToken: Bool {
        switch state {
        case .begun, .triedBasic: false
        case .triedToken, .triedWiderToken: true
        }
    }

    init(wanted: ScopeSet) { self.wanted = wanted }

    /// After an answer with 401, or 403.
    mutating func next(isForbidden: Bool, challenges: [Challenge], hasPassword: Bool) -> Action {
        // 403 is final unless the server says that a wider token would do.
        let supported = challenges.first { challenge in
            if isForbidden { return challenge.asksForMore }
            return challenge.scheme == "bearer" && challenge.parameters["realm"] != nil
                || challenge.scheme == "basic" && hasPassword
        }
        guard let challenge = supported else { return .giveUp }
        if challenge.scheme == "basic" {
            guard state == .begun else { return .giveUp }
            state = .triedBasic
            return .sendBasic
        }
        let asked = ScopeSet(parsing: challenge.parameters["scope"] ?? "")
        return fetch(challenge, wanted.union(asked))
    }

    private mutating func fetch(_ challenge: Challenge, _ scopes: ScopeSet) -> Action {
        switch state {
        case .begun, .triedBasic: state = .triedToken(scopes)
        case .triedToken(let tried):
            guard !tried.covers(scopes) else { return .giveUp }
            state = .triedWiderToken
        case .triedWiderToken: return .giveUp
        }
        return .fetchToken(
            realm: challenge.parameters["realm"] ?? "", service: challenge.parameters["service"], scopes: scopes)
    }
}

extension Challenge {
    /// RFC 6750 section 3.1.
    var asksForMore: Bool {
        scheme == "bearer" && parameters["realm"] != nil && parameters["error"] == "insufficient_scope"
    }
}
