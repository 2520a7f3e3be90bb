import Testing

@testable import Registry

/// Mutations of good texts: no parser may trap, and what is accepted must hold what it promises.
struct ParserFuzzTests {
    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        /// SplitMix64.
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
            return value ^ (value >> 31)
        }
    }

    private static let seeds = [
        "Bearer realm=\"https://auth.test/token\",service=\"r\",scope=\"repository:a/b:pull,push\", Basic realm=x",
        "https://[::1]:5000/v2/a?b=c", "bytes 0-99/100", "</v2/_catalog?last=a>; rel=\"next\"",
        "server = \"https://a\"\n[host.\"https://b\"]\ncapabilities = [\"pull\", 'push']\nx.y = -1_0 # z\n",
        #"{"auths":{"a.test":{"auth":"eDp5"}},"credHelpers":{"b":"c"}}"#,
        #"{"schemaVersion":2,"manifests":[{"mediaType":"a","size":1,"digest":"sha256:00"}]}"#,
        "repository:host:5000/a:pull,push", "linux/arm64/v8",
    ]

    private func mutate(_ bytes: [UInt8], _ random: inout Generator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1 where place < bytes.count: bytes.remove(at: place)
            case 2: bytes.insert(contentsOf: bytes.prefix(place).suffix(8), at: place)
            case 3: bytes.removeLast(bytes.count - place)
            default: bytes.insert("\"=,\\[]{}:/?#-\n\r\t 09".utf8.randomElement(using: &random) ?? 0, at: place)
            }
        }
        return bytes
    }

    @Test(arguments: 0..<8) func nothingTraps(seed: Int) {
        var random = Generator(state: UInt64(seed))
        for _ in 0..<800 {
            let bytes = mutate(Array((Self.seeds.randomElement(using: &random) ?? "").utf8), &random)
            let text = String(decoding: bytes, as: UTF8.self)
            _ = Challenge.parse([text])
            _ = ContentRange(text)
            _ = ContentRange.parseUpload(text)
            _ = LinkHeader.next([text])
            _ = ScopeSet(parsing: text).scopes
            _ = ErrorDocument.details(bytes)
            #expect(harmless(text).utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f })
            if let url = RegistryURL(text) {
                #expect(RegistryURL(url.description) == url, "seed \(seed): \(text.debugDescription)")
                #expect(!url.host.isEmpty && !url.host.contains("@"))
                if let next = url.resolving(text) { #expect(RegistryURL(next.description) != nil) }
            }
            accepting { try ImagePlatform(parsing: text).description }
            accepting { try ManifestDocument.parse(bytes, contentType: nil, host: "h") }
            accepting { try TOMLDocument(parsing: bytes, path: "f") }
            accepting { try CredentialFile(path: "f", parsing: bytes) }
            accepting { try RegistryCredential.parse(registryAuthHeader: text) }
        }
    }

    private func accepting(_ body: () throws -> Any?) {
        do {
            _ = try body()
        } catch {
            #expect(error is RegistryError)
        }
    }
}
