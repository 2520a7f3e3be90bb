import NIOCore
import TLSTransport

/// Where a server listens.
public enum HTTPEndpoint: Sendable {
    /// `group`: whose members may connect; `nil`: the process's own.
    case unix(path: String, group: UInt32?)
    /// A port of this machine. `host` is an address, or a name that leads to one. Without `tls` everybody who reaches
    /// the port has what the engine has.
    case tcp(host: String, port: Int, tls: TLSServer?)
    /// A port whose router says itself who may ask for what; `RequestGuard` lets all pass.
    case selfGuarded(TCPAddress)
}

/// Keeps pages in a browser away from the engine: those of other origins say so in `Origin` and `Sec-Fetch-Site`, and
/// those that had a name of their own lead to this machine (DNS rebinding) say that name in `Host`.
struct RequestGuard: Sendable {
    /// What the server on a TCP port may be called, in lower case; `nil` on a Unix socket, where a name says nothing.
    var names: Set<String>?
    private var isOff = false

    static let unix = RequestGuard(names: nil)
    static let off: RequestGuard = {
        var guarding = RequestGuard(names: [])
        guarding.isOff = true
        return guarding
    }()

    init(names: Set<String>?) { self.names = names }

    /// - Parameter host: as the listener was told it.
    static func tcp(host: String, certificateNames: [String]) -> RequestGuard {
        RequestGuard(names: Set(["localhost", host.lowercased()] + certificateNames))
    }

    /// - Parameter localAddress: the address that the client has connected to.
    func check(_ head: HTTPRequestHead, localAddress: String?) throws(HTTPError) {
        if isOff { return }
        if let origin = head.headers["Origin"] {
            throw HTTPError(403, "requests from pages in a browser are refused (Origin: \(origin))")
        }
        if let site = head.headers["Sec-Fetch-Site"], !["none", "same-origin"].contains(site.lowercased()) {
            throw HTTPError(403, "requests from pages in a browser are refused (Sec-Fetch-Site: \(site))")
        }
        guard let names else { return }
        let host = try Self.host(head)
        guard
            names.contains(host) || names.contains(where: { Self.matches(host, wildcard: $0) })
                || Self.isLoopback(host) || host == localAddress
        else { throw HTTPError(403, "this engine is not called '\(host)'; requests for other hosts are refused") }
    }

    /// Without the port, in lower case. What is in the target takes the place of the field (RFC 9112 section 3.2.2).
    private static func host(_ head: HTTPRequestHead) throws(HTTPError) -> String {
        let fields = head.headers.all("Host")
        guard fields.count == 1, var text = fields.first?[...] else {
            throw HTTPError(400, "a request needs one Host header")
        }
        if !head.target.hasPrefix("/") {
            guard let mark = head.target.firstRange(of: "://") else {
                throw HTTPError(400, "malformed request target")
            }
            let rest = head.target[mark.upperBound...]
            text = rest.prefix { !"/?#".contains($0) }
            if let at = text.lastIndex(of: "@") { text = text[text.index(after: at)...] }
        }
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw HTTPError(400, "malformed Host header") }
            return text[text.index(after: text.startIndex)..<end].lowercased()
        }
        return text.prefix { $0 != ":" }.lowercased()
    }

    private static func isLoopback(_ host: String) -> Bool {
        if host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return parts.count == 4 && parts[0] == 127 && parts.allSatisfy { $0 != nil }
    }

    /// `*.example.org`, for one label (RFC 6125 section 6.4.3).
    private static func matches(_ host: String, wildcard name: String) -> Bool {
        guard name.hasPrefix("*."), let dot = host.firstIndex(of: "."), dot != host.startIndex else { return false }
        return host[dot...] == name.dropFirst()
    }
}
