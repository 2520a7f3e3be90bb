/// What a token may be used for: `repository:library/nginx:pull` (distribution, "Token Scope Documentation").
struct TokenScope: Hashable, Sendable, CustomStringConvertible {
    /// `repository` and its name, or `registry:catalog`.
    var resource: String
    var actions: Set<String>

    static func repository(_ name: String, _ actions: Set<String>) -> TokenScope {
        TokenScope(resource: "repository:\(name)", actions: actions)
    }

    static let catalog = TokenScope(resource: "registry:catalog", actions: ["*"])

    private init(resource: String, actions: Set<String>) {
        self.resource = resource
        self.actions = actions
    }

    /// One word of a challenge's `scope`. The name may have colons (a port), so the actions are what follows the last.
    init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), text[..<colon].contains(":"),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return nil }
        resource = String(text[..<colon])
        let list = String(text[text.index(after: colon)...])
        actions = Set(list.split(separator: ",").map(String.init))
    }

    var description: String { "\(resource):\(actions.sorted().joined(separator: ","))" }
}

/// Scopes, at most one for each resource.
struct ScopeSet: Hashable, Sendable {
    private static let scopeCountMax = 16
    private(set) var actions: [String: Set<String>] = [:]

    init(_ scopes: [TokenScope] = []) {
        for scope in scopes { insert(scope) }
    }

    /// The value of a challenge's `scope`; what cannot be read is left out.
    init(parsing text: String) {
        for word in text.split(separator: " ").prefix(Self.scopeCountMax) {
            if let scope = TokenScope(word) { insert(scope) }
        }
    }

    mutating func insert(_ scope: TokenScope) { actions[scope.resource, default: []].formUnion(scope.actions) }

    func union(_ other: ScopeSet) -> ScopeSet {
        ScopeSet(scopes + other.scopes)
    }

    /// Whether a token with these scopes does for `other` too.
    func covers(_ other: ScopeSet) -> Bool {
        other.actions.allSatisfy { resource, wanted in
            let have = actions[resource] ?? []
            return have.contains("*") || wanted.isSubset(of: have)
        }
    }

    /// In a fixed order.
    var scopes: [TokenScope] {
        actions.sorted { $0.key < $1.key }.compactMap {
            TokenScope("\($0.key):\($0.value.sorted().joined(separator: ","))")
        }
    }
}
