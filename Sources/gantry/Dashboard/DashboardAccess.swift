import EngineAPI
import Synchronization

/// Who may see the page: whoever opens the printed address first, and from then on only that browser. Other pages of
/// the same browser get nothing, under whatever name they reach this port.
final class DashboardAccess: Sendable {
    enum Verdict: Equatable {
        case allowed
        /// The token was good, and is no more: the browser is known by this cookie from now on.
        case entered(cookie: String)
        case refused(status: Int, String)
    }

    private struct State {
        /// `nil` once somebody has used it.
        var token: String?
        /// `nil` until then.
        var session: String?
        /// 0 until it is known; nothing is answered before.
        var port: UInt16 = 0
    }

    private let state: Mutex<State>

    /// - Parameters: two secrets that nobody can guess.
    init(token: String, session: String) {
        state = Mutex(State(token: token))
        self.session = session
    }

    private let session: String

    /// 256 bits of the kernel's, as text.
    static func secret() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in
            let digits = String(generator.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    func open(port: UInt16) { state.withLock { $0.port = port } }

    func verdict(on request: HTTPRequest) -> Verdict {
        guard request.method == "GET" || request.method == "HEAD" else {
            return .refused(status: 405, "the dashboard only reads")
        }
        let port = state.withLock { $0.port }
        let hosts = ["127.0.0.1:\(port)", "localhost:\(port)"]
        // A name that leads here although it is another's is how foreign pages try to get at what is on loopback.
        let named = request.headers.all("Host")
        guard port != 0, named.count == 1, let host = named.first, hosts.contains(host.lowercased()) else {
            return .refused(status: 403, "this is 127.0.0.1:\(port), and answers to no other name")
        }
        if let origin = request.headers["Origin"], origin.lowercased() != "http://\(host.lowercased())" {
            return .refused(status: 403, "other pages get nothing here")
        }
        let isFront = request.path.isEmpty
        if let site = request.headers["Sec-Fetch-Site"], site != "same-origin", site != "none" {
            // A link to the front page may stand anywhere; what it is good for, the token decides.
            guard isFront, request.headers["Sec-Fetch-Mode"] == "navigate" else {
                return .refused(status: 403, "other pages get nothing here")
            }
        }
        if isFront, request.method == "GET", let token = request.queryValue("token"), take(token) {
            return .entered(cookie: "\(cookieName(port))=\(session); HttpOnly; SameSite=Strict; Path=/")
        }
        guard isKnown(request, port) else {
            return .refused(
                status: 403,
                "Open the address that `gantry dashboard` printed. It works once: for another browser, "
                    + "run `gantry dashboard` again.")
        }
        return .allowed
    }

    /// Cookies go to every port of a host.
    private func cookieName(_ port: UInt16) -> String { "gantry_dashboard_\(port)" }

    private func take(_ token: String) -> Bool {
        state.withLock { state in
            guard let expected = state.token, isSame(token, expected) else { return false }
            state.token = nil
            state.session = session
            return true
        }
    }

    private func isKnown(_ request: HTTPRequest, _ port: UInt16) -> Bool {
        guard let expected = state.withLock({ $0.session }) else { return false }
        let name = cookieName(port) + "="
        return request.headers.all("Cookie").contains { header in
            header.split(separator: ";").contains { part in
                let pair = part.drop { $0 == " " }
                return pair.hasPrefix(name) && isSame(String(pair.dropFirst(name.count)), expected)
            }
        }
    }
}

/// Takes as long whatever of it differs.
private func isSame(_ text: String, _ secret: String) -> Bool {
    let (left, right) = (Array(text.utf8), Array(secret.utf8))
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
}
