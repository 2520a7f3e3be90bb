import Synchronization

/// Where a token came from and for whom; with its scopes, what it is good for.
struct TokenKey: Hashable, Sendable {
    var realm: String
    var service: String?
    var credential: RegistryCredential?
}

/// Tokens until shortly before they expire, each found by any smaller set of scopes too.
final class TokenCache: Sendable {
    private struct Entry {
        var scopes: ScopeSet
        var token: String
        var expiresAt: Int64
    }

    private static let entryCountMax = 1000
    /// Clocks and networks are slow; a token is not used this close to its end.
    private static let marginMilliseconds: Int64 = 5_000
    private let entries = Mutex<[TokenKey: [Entry]]>([:])

    func token(_ key: TokenKey, _ scopes: ScopeSet, now: Int64) -> String? {
        entries.withLock { entries in
            entries[key]?.first { $0.expiresAt - Self.marginMilliseconds > now && $0.scopes.covers(scopes) }?.token
        }
    }

    func insert(_ token: String, _ key: TokenKey, _ scopes: ScopeSet, lifeSeconds: Int64, now: Int64) {
        entries.withLock { entries in
            if entries.values.reduce(0, { $0 + $1.count }) >= Self.entryCountMax { entries = [:] }
            var list = (entries[key] ?? []).filter { $0.expiresAt > now && !scopes.covers($0.scopes) }
            list.append(Entry(scopes: scopes, token: token, expiresAt: now + lifeSeconds * 1000))
            entries[key] = list
        }
    }

    /// The server does not take it any more.
    func remove(_ token: String, _ key: TokenKey) {
        entries.withLock { $0[key]?.removeAll { $0.token == token } }
    }
}
