import CLinux
import Glibc
import Images
import LinuxSystem
import Registry
import Testing

@testable import ImageBuild

@Suite(.enabled(if: LoopbackServer.isPossible, "git or python3 is not installed"))
struct HTTPSourceTests {
    let tree: Tree
    let server: LoopbackServer
    let download: FileDownload
    static let digest = Digest.sha256(of: Array("content\n".utf8))

    init() throws {
        tree = try Tree()
        try tree.file("tag", "\"1\"")
        server = try LoopbackServer(files: tree.path)
        var retry = RetryPolicy()
        (retry.firstDelayMilliseconds, retry.stallSeconds) = (10, 1)
        download = FileDownload(retry: retry)
    }

    private func fetch(
        _ path: String, checksum: String? = nil, byteCountMax: Int64 = HTTPSource.defaultByteCountMax
    ) throws -> (file: HTTPSource.File, name: String) {
        let source = try HTTPSource(
            "http://127.0.0.1:\(server.port)\(path)", checksum: checksum, cache: tree.at("cache"),
            byteCountMax: byteCountMax)
        return (try source.fetch(with: download, stop: Cancellation()), source.fileName)
    }

    @Test(arguments: [
        ("http://h/a/b.tar", "b.tar"), ("https://h/a/b?x=/y#z", "b"), ("http://h/a%20b%5B", "a b["),
        ("http://h", "__unnamed__"),
        ("http://h/", "__unnamed__"), ("http://h/?a/b", "__unnamed__"), ("http://h/a/", "a"), ("http://h/a%2Fb", "b"),
        ("http://h/.", "__unnamed__"), ("http://h/*", "*"),
    ])
    func names(address: String, name: String) throws {
        #expect(try HTTPSource(address, checksum: nil, cache: "/x").fileName == name)
    }

    @Test(arguments: [
        "http://h/..", "http://h/a%2F..", "http://h/%00", "http://h/%zz", "http://h/%ff", "ftp://h/x", "x",
    ])
    func hostileNames(address: String) {
        _ = #expect(throws: BuildError.self) { try HTTPSource(address, checksum: nil, cache: "/x") }
    }

    @Test func aFileAsBuildKitHasIt() throws {
        let (dated, name) = try fetch("/dated/x[1]*")
        let image = try Tree()
        try copy(name, to: "/d/", from: dated.source, into: image) { $0.isLiteral = true }
        #expect(try image.listing() == ["d/", "d/x[1]*=content\n"] && image.attributes("d/x[1]*") == "600 0:0")
        #expect(try image.status("d/x[1]*").st_mtim.tv_sec == 784_111_777)
        #expect(dated.digest == Self.digest)
        let plain = try fetch("/plain/y").file
        try copy("y", to: "/z", from: plain.source, into: image) { $0.isLiteral = true }
        #expect(try image.status("z").st_mtim.tv_sec == 0)
        #expect(try tree.status("cache").st_mode & 0o777 == 0o700)
    }

    @Test func whatIsKnownIsNotTransferred() throws {
        func wasSent(_ path: String, checksum: String? = nil) throws -> Bool {
            func count() throws -> Int { try server.log().ranges(of: "200 \(path) ").count }
            let before = try count()
            _ = try fetch(path, checksum: checksum)
            return try count() > before
        }
        #expect(try wasSent("/dated/x"))
        #expect(try !wasSent("/dated/x"))
        let first = try fetch("/tagged/x").file
        #expect(try !wasSent("/tagged/x"))
        try tree.file("tag", "\"2\"")
        #expect(try wasSent("/tagged/x"))
        #expect(try fetch("/tagged/x").file.digest != first.digest)
        // Who copies from the old one still has it.
        let image = try Tree()
        try copy("x", to: "/x", from: first.source, into: image)
        #expect(try image.text("x") == "content\n\"1\"")
        // Without validators everything is fetched again; with a checksum nothing is.
        #expect(try wasSent("/plain/x"))
        #expect(try wasSent("/plain/x"))
        #expect(try !wasSent("/plain/x", checksum: "\(Self.digest)"))
        // What was damaged is fetched again.
        for name in try FileSystem.list(tree.at("cache")) {
            try tree.file("cache/\(name)/about", "gantry download 1\n")
        }
        #expect(try wasSent("/dated/x"))
    }

    @Test func checksums() throws {
        #expect(try fetch("/plain/x", checksum: "\(Self.digest)").file.digest == Self.digest)
        let other = Digest.sha256(of: [])
        let error = failure { _ = try fetch("/plain/y", checksum: "\(other)") }
        #expect(error.contains("\(other) was expected"))
        #expect(failure { _ = try fetch("/dated/z") } == "no error")
        #expect(failure { _ = try fetch("/dated/z", checksum: "\(other)") }.contains("was expected"))
        #expect(failure { _ = try fetch("/plain/x", checksum: "sha512:x") }.contains("is no checksum"))
        let left = try tree.listing("cache").filter { $0.contains("new-") }
        #expect(left.isEmpty)
    }

    @Test func servers() throws {
        #expect(try fetch("/redirect/x").file.digest == Self.digest)
        #expect(try fetch("/cut/x").file.digest == Self.digest)
        for (path, message) in [
            ("/nothing", "is not found"), ("/loop", "redirects"), ("/file", "a redirect to file:"),
            ("/unasked", "304"), ("/stall/x", "cannot fetch"),
        ] {
            let error = failure { _ = try fetch(path) }
            #expect(error.contains(message), "\(path): \(error)")
        }
        #expect(failure { _ = try fetch("/big/x", byteCountMax: 1_000_000) }.contains("larger than 1000000 bytes"))
        #expect(failure { _ = try fetch("/endless/x", byteCountMax: 5_000_000) }.contains("larger than 5000000 bytes"))
        let refused = failure {
            _ = try HTTPSource("http://u:p@127.0.0.1/x", checksum: nil, cache: tree.at("cache"))
                .fetch(with: download, stop: Cancellation())
        }
        #expect(refused.contains("no user name") && !refused.contains("u:p"))
    }

    @Test func secretsGoToTheAddressAlone() throws {
        let other = try LoopbackServer(files: tree.path)
        try tree.file("target", "http://127.0.0.1:\(other.port)/plain/y")
        let source = try HTTPSource(
            "http://127.0.0.1:\(server.port)/away/x", checksum: nil, cache: tree.at("cache"))
        let secrets = RemoteSecrets(["HTTP_AUTH_TOKEN_127.0.0.1": Array("token".utf8)])
        _ = try source.fetch(with: download, secrets: secrets, stop: Cancellation())
        #expect(try server.log().contains("GET /away/x Bearer token"))
        #expect(try other.log().contains("GET /plain/y -"))
    }

    @Test func whatNobodyUsesIsForgotten() throws {
        _ = try fetch("/plain/x")
        try HTTPSource.prune(cache: tree.at("cache"), unusedForSeconds: 60)
        #expect(try FileSystem.list(tree.at("cache")).count == 1)
        for name in try FileSystem.list(tree.at("cache")) { try tree.setModified("cache/\(name)", 1000) }
        try HTTPSource.prune(cache: tree.at("cache"), unusedForSeconds: 60)
        #expect(try FileSystem.list(tree.at("cache")).isEmpty)
        try HTTPSource.prune(cache: tree.at("none"), unusedForSeconds: 60)
    }

    /// Two builds that fetch the same at once: what one has seen stays what it is.
    @Test func aFileThatIsThereIsNotReplaced() throws {
        let first = try fetch("/plain/x").file
        var selected = CopyJob(files: ["x"], destination: "/x")
        selected.isLiteral = true
        let selection = try CopySelection(selected, from: first.source)
        _ = try selection.digest(nil)
        #expect(try fetch("/plain/x").file.digest == first.digest)
        let image = try Tree()
        try selection.copy(into: image.root)
        #expect(try image.text("x") == "content\n")
        #expect(try tree.listing("cache").filter { $0.hasSuffix("/") }.count == 2)
    }

    /// Content of another date is as old as that says.
    @Test func theSameContentOfAnotherAge() throws {
        for second in [37, 38] {
            try tree.file("date", "Sun, 06 Nov 1994 08:49:\(second) GMT")
            let image = try Tree()
            try copy("x", to: "/x", from: fetch("/aged/x").file.source, into: image) { $0.isLiteral = true }
            #expect(try image.status("x").st_mtim.tv_sec == 784_111_740 + second)
        }
    }

    @Test func olderVersionsAreForgotten() throws {
        _ = try fetch("/tagged/x")
        try tree.file("tag", "\"2\"")
        let now = try fetch("/tagged/x").file
        let address = try "cache/" + #require(FileSystem.list(tree.at("cache")).first)
        try tree.file("\(address)/new-1-1/x", "half")
        func prune() throws -> Int {
            try HTTPSource.prune(cache: tree.at("cache"), unusedForSeconds: 10_000_000)
            return try FileSystem.list(tree.at(address)).count
        }
        // Builds may be at them still.
        #expect(try prune() == 4)
        for name in try FileSystem.list(tree.at(address)) {
            try tree.setModified("\(address)/\(name)", Int(time(nil)) - 100_000)
        }
        #expect(try prune() == 2)
        let image = try Tree()
        try copy("x", to: "/x", from: now.source, into: image) { $0.isLiteral = true }
        #expect(try image.text("x") == "content\n\"2\"")
    }

    @Test func dates() {
        #expect(HTTPDate.seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        for text in [
            "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
        ] {
            #expect(HTTPDate.seconds(text) == nil)
        }
    }
}
