import Images
import Testing

@testable import Registry

/// libcurl against a server that breaks, stalls and lies.
@Suite(.enabled(if: Tool.have(Tool.python), "python3 is not installed"))
struct FaultyServerTests {
    private static let byteCount = 3_000_000
    /// As the server has it.
    private static let content = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / 251) }
    private let server: TestServer
    private var content: [UInt8] { Self.content }
    private let blob: ContentDescriptor
    private let host: String

    init() throws {
        let (port, other) = (try TestServer.freePort(), try TestServer.freePort())
        server = try TestServer(
            [Tool.python, Tool.server("faulty_registry.py"), "\(port)", "\(other)", "\(Self.byteCount)"], port: port)
        host = "127.0.0.1:\(port)"
        blob = ContentDescriptor(
            mediaType: "application/octet-stream", digest: .sha256(of: Self.content),
            size: Int64(Self.byteCount))
    }

    private func name(_ mode: String) throws -> RepositoryName {
        RepositoryName(try ImageReference(parsing: "\(host)/\(mode)/app"))
    }

    private func fetch(_ mode: String, _ client: RegistryClient = .real(), skipping: Int = 0) throws -> [UInt8] {
        var bytes = Array(content.prefix(skipping))
        let receipt = BlobReceipt()
        bytes.withUnsafeBytes { receipt.add($0) }
        try client.fetchBlob(blob, name(mode), resuming: receipt) { piece throws(RegistryError) in bytes += piece }
        return bytes
    }

    @Test(arguments: ["good", "truncate", "norange", "busy"])
    func theWholeBlobComes(mode: String) throws {
        #expect(try fetch(mode) == content)
    }

    /// libcurl 7.88 found a bad argument in whatever followed on the same handle.
    @Test func aHostThatIsNotThereDoesNotSpoilTheNextExchange() throws {
        let client = RegistryClient.real()
        let nowhere = RepositoryName(try ImageReference(parsing: "nothing.invalid/good/app"))
        #expect(throws: RegistryError.self) {
            try client.fetchBlob(blob, nowhere, resuming: BlobReceipt()) { _ in }
        }
        #expect(try fetch("good", client) == content)
    }

    @Test func anEarlierRunIsContinued() throws {
        #expect(try fetch("good", skipping: 1_234_567) == content)
        #expect(try fetch("norange", skipping: 2_999_999) == content)
        #expect(try fetch("dead", skipping: Self.byteCount) == content)
    }

    @Test func aBlobThatIsNotItsDigestIsRefused() throws {
        let error = #expect(throws: RegistryError.self) { try fetch("lying") }
        guard case .digestMismatch(blob.digest, _, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func endlessBlobsEndAtTheirSize() throws {
        let error = #expect(throws: RegistryError.self) { try fetch("long") }
        guard case .wrongSize = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test(arguments: ["badrange", "loop", "headers", "abyss"])
    func whatBreaksTheProtocolIsRefused(mode: String) throws {
        let error = #expect(throws: RegistryError.self) { try fetch(mode) }
        guard case .invalidResponse = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func aDeadServerIsGivenUp() throws {
        let expected = RegistryError.status(host: host, code: 503, details: [])
        #expect(throws: expected) { try fetch("dead", .real(attempts: 2)) }
    }

    @Test(arguments: ["stall", "mute", "garbage", "trickle", "slowhead"])
    func aServerWithoutAnAnswerIsGivenUp(mode: String) throws {
        let error = #expect(throws: RegistryError.self) { try fetch(mode, .real(attempts: 1, stallSeconds: 1)) }
        guard case .unreachable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func credentialsStayWithTheRegistry() throws {
        let client = RegistryClient.real(credentials: [host: .password(username: "u", password: "p")])
        #expect(try fetch("redirect", client) == content)
    }

    /// Fewer bytes than the manifest says, though the answer is whole.
    @Test func aBlobThatIsTooShortIsRefused() {
        #expect(throws: RegistryError.self) { try fetch("short", .real(attempts: 2)) }
    }

    @Test func aSinkMayRefuse() throws {
        #expect(throws: RegistryError.content("full")) {
            try RegistryClient.real().fetchBlob(blob, name("good")) { _ throws(RegistryError) in throw .content("full")
            }
        }
    }

    @Test(arguments: ["hugemanifest", "endless"]) func manifestsHaveALimit(mode: String) throws {
        let error = #expect(throws: RegistryError.self) {
            try RegistryClient.real().manifest(ImageReference(parsing: "\(host)/\(mode)/app:1"))
        }
        guard case .tooLarge = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func messagesAreHarmless() throws {
        let error = #expect(throws: RegistryError.self) {
            try RegistryClient.real().manifest(ImageReference(parsing: "\(host)/control/app:1"))
        }
        #expect(error?.description == "access denied by \(host): go away\\u{1b}[31m\\u{d} X: y")
        let unknown = #expect(throws: RegistryError.self) {
            try RegistryClient.real().manifest(ImageReference(parsing: "\(host)/good/app:1"))
        }
        #expect(unknown?.description == "manifest unknown: \(host)/good/app:1")
    }

    @Test func aClosedPortIsUnreachable() throws {
        let closed = try TestServer.freePort()
        let error = #expect(throws: RegistryError.self) {
            try RegistryClient.real(attempts: 1).manifest(ImageReference(parsing: "localhost:\(closed)/a:1"))
        }
        #expect(error?.description.hasPrefix("cannot reach localhost:\(closed): ") == true)
    }

    /// What is small goes with one request, whose upload may be lost, too.
    @Test(arguments: ["good", "breaking"]) func smallUploadsArrive(mode: String) throws {
        let own = Array(content.prefix(10_000 + mode.utf8.count))
        let blob = ContentDescriptor(mediaType: "a/b", digest: .sha256(of: own), size: Int64(own.count))
        let client = RegistryClient.real()
        #expect(try client.pushBlob(blob, name(mode), supply: BytesSupply(bytes: own)) == .sent)
        #expect(try client.hasBlob(blob.digest, name(mode)))
    }

    @Test(arguments: ["good", "breaking", "forgetful", "partial"], [nil, 700_000] as [Int64?])
    func uploadsArrive(mode: String, chunkByteCount: Int64?) throws {
        let own =
            Array(content.reversed()) + Array(content.dropLast(mode.utf8.count)) + [
                UInt8(chunkByteCount == nil ? 0 : 1)
            ]
        let blob = ContentDescriptor(mediaType: "a/b", digest: .sha256(of: own), size: Int64(own.count))
        let client = RegistryClient.real()
        let done = try client.pushBlob(
            blob, name(mode), chunkByteCount: chunkByteCount, supply: BytesSupply(bytes: own))
        #expect(done == .sent)
        #expect(try client.hasBlob(blob.digest, name(mode)))
        #expect(try client.pushBlob(blob, name(mode), supply: BytesSupply(bytes: own)) == .wasThere)
    }
}
