import Registry

/// What a build shows to servers that it fetches from: secrets of certain names, as BuildKit has them (`source/git`,
/// `source/http` in moby/buildkit). Nothing of them is part of a key or a layer.
public struct RemoteSecrets: Sendable {
    private let secrets: [String: [UInt8]]

    /// - Parameter secrets: of the build, by id.
    public init(_ secrets: [String: [UInt8]] = [:]) { self.secrets = secrets }

    /// `Authorization:` for a git repository: of `GIT_AUTH_HEADER`, else of `GIT_AUTH_TOKEN`, which is a password;
    /// those with `.HOST` or `.HOST:PORT` at their ends first.
    func gitAuthorization(authority: String) -> String? {
        for end in [".\(authority)", ""] {
            if let header = text("GIT_AUTH_HEADER\(end)") { return header }
            guard let token = text("GIT_AUTH_TOKEN\(end)") else { continue }
            return RegistryCredential.password(username: "x-access-token", password: token).basicAuthorization
        }
        return nil
    }

    /// `Authorization:` for a file: of `HTTP_AUTH_TOKEN_HOST`, which is a bearer token, else of
    /// `HTTP_AUTH_HEADER_HOST`.
    func httpAuthorization(_ address: String) -> String? {
        // An IPv6 address is named without its brackets.
        guard let host = RegistryURL(address)?.host.filter({ $0 != "[" && $0 != "]" }) else { return nil }
        return text("HTTP_AUTH_TOKEN_\(host)").map { "Bearer \($0)" } ?? text("HTTP_AUTH_HEADER_\(host)")
    }

    /// Without a line's end, which would be another header; nil for nothing.
    private func text(_ id: String) -> String? {
        let bytes = secrets[id, default: []].filter { $0 >= 0x20 && $0 != 0x7f }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }
}
