import Synchronization

@testable import Registry

/// Answers by a function instead of a network; remembers what was asked.
final class FakeTransport: HTTPTransport {
    typealias Handler = @Sendable (HTTPRequest, _ index: Int) throws(RegistryError) -> HTTPResponse

    private let handler: Handler
    private let requests = Mutex<[HTTPRequest]>([])

    init(_ handler: @escaping Handler) { self.handler = handler }

    var asked: [HTTPRequest] { requests.withLock { $0 } }

    func perform(
        _ request: HTTPRequest, stop: Cancellation, _ consumer: BodyConsumer?
    ) throws(RegistryError) -> HTTPResponse {
        let index = requests.withLock { requests in
            requests.append(request)
            return requests.count - 1
        }
        var response = try handler(request, index)
        response.url = request.url
        guard let consumer else { return response }
        // In two pieces, as a network would.
        var rest: [UInt8] = []
        for piece in [response.body.prefix(response.body.count / 2), response.body.dropFirst(response.body.count / 2)]
        where !piece.isEmpty {
            let head = response.head
            if try Array(piece).withUnsafeBytesTyped({ bytes throws(RegistryError) in try consumer(head, bytes) }) {
                continue
            }
            rest += piece
        }
        response.body = rest
        return response
    }
}

extension [UInt8] {
    fileprivate func withUnsafeBytesTyped<Result>(
        _ body: (UnsafeRawBufferPointer) throws(RegistryError) -> Result
    ) throws(RegistryError) -> Result {
        let outcome = withUnsafeBytes { bytes -> Swift.Result<Result, RegistryError> in
            do throws(RegistryError) {
                return .success(try body(bytes))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }
}

func answer(_ status: Int, _ headers: [(String, String)] = [], _ body: String = "") -> HTTPResponse {
    // The address is put in by the transport.
    HTTPResponse(
        head: HTTPHead(status: status, headers: HTTPHeaders(headers)), body: Array(body.utf8),
        url: RegistryURL(scheme: .https, authority: "unset.test") ?? RegistryHosts.placeholder)
}

extension RegistryHosts {
    static var placeholder: RegistryURL { preconditionFailure("a constant address") }
}

/// Time that passes only by sleeping.
final class FakeClock: Sendable {
    private let time = Mutex<Int64>(1_000_000)
    private let sleeps = Mutex<[Int64]>([])

    var slept: [Int64] { sleeps.withLock { $0 } }
    func advance(milliseconds: Int64) { time.withLock { $0 += milliseconds } }

    var clock: RegistryClock {
        RegistryClock(
            now: { self.time.withLock { $0 } },
            sleep: { milliseconds, _ in
                self.sleeps.withLock { $0.append(milliseconds) }
                self.advance(milliseconds: milliseconds)
            },
            random: { 0.5 })
    }
}

struct FixedCredentials: CredentialSource {
    var byHost: [String: RegistryCredential]

    func credential(host: String, repository: String?) throws(RegistryError) -> RegistryCredential? { byHost[host] }
}

extension RegistryClient {
    /// Without configuration and without a network.
    static func fake(
        _ transport: FakeTransport, _ clock: FakeClock = FakeClock(), credentials: [String: RegistryCredential] = [:],
        hosts: RegistryHosts = RegistryHosts(folders: [])
    ) -> RegistryClient {
        RegistryClient(
            RegistryConnections(transport: transport, clock: clock.clock, retry: RetryPolicy()),
            credentials: FixedCredentials(byHost: credentials), hosts: hosts)
    }
}
