import Testing

@testable import Images

@Suite struct ImageReferenceTests {
    static let hex = String(repeating: "ab", count: 32)

    @Test(arguments: [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"),
        ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("me/app", "docker.io/me/app:latest", "me/app:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("library/\(hex)", "docker.io/library/\(hex):latest", "library/\(hex):latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("Registry/app", "Registry/app:latest", "Registry/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        ("ghcr.io/a/b__c/d-e---f.g:T_1.x-y", "ghcr.io/a/b__c/d-e---f.g:T_1.x-y", "ghcr.io/a/b__c/d-e---f.g:T_1.x-y"),
        ("nginx@sha256:\(hex)", "docker.io/library/nginx@sha256:\(hex)", "nginx@sha256:\(hex)"),
        ("nginx:1@sha256:\(hex)", "docker.io/library/nginx:1@sha256:\(hex)", "nginx:1@sha256:\(hex)"),
        ("x:5000", "docker.io/library/x:5000", "x:5000"),
    ])
    func normalises(text: String, canonical: String, familiar: String) throws {
        let reference = try ImageReference(parsing: text)
        #expect(reference.canonical == canonical)
        #expect(reference.familiar == familiar)
        #expect(try ImageReference(parsing: reference.canonical) == reference)
        #expect(try ImageReference(parsing: reference.familiar) == reference)
    }

    @Test(arguments: [
        "", " ", "nginx ", "Nginx", "nginx:", ":tag", "a//b", "/a", "a/", "-a", "a-", "a..b", "a._b", "a___b", "a_-b",
        "nginx:-x", "nginx:.x", "nginx:a b", "nginx:" + String(repeating: "t", count: 129), "nginx@sha256:abc",
        "nginx@md5:" + hex, "nginx@sha256:" + hex.uppercased(), hex, String(repeating: "a", count: 256), "nginx@",
        "re_gistry.com/x", "a.b:99999/x", "a.b:0/x", "a.b:/x", "[::1/x", "[zz::]/x", "-x.com/a", "x..com/a", "ñ", "a\n",
        "a\u{0}", "sha256:../../etc", "a/../b", "a@b@sha256:" + hex, "docker.io/", "docker.io/nginx/", "a:b:c",
    ])
    func refuses(text: String) {
        #expect(throws: ImageError.self) { try ImageReference(parsing: text) }
    }

    /// Whatever is accepted is stable: parsing what was printed gives the same, and nothing can leave a folder.
    @Test(arguments: 0..<8) func random(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        let alphabet = Array("ab09._-/:@[]ABsha256:\u{1}é ".utf8)
        for _ in 0..<5_000 {
            let count = Int.random(in: 0..<24, using: &generator)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let reference = try? ImageReference(parsing: text) else { continue }  // Refusals are no failures.
            #expect(try ImageReference(parsing: reference.canonical) == reference, "\(text.debugDescription)")
            #expect(try ImageReference(parsing: reference.familiar) == reference, "\(text.debugDescription)")
            #expect(!reference.canonical.contains(".."), "\(text.debugDescription)")
        }
    }

    @Test func namesLikeTheWantedOne() throws {
        let present = try ["nginx:1.25", "ghcr.io/x/nginx", "ngnix", "redis"].map { try ImageReference(parsing: $0) }
        #expect(
            try similarNames(to: ImageReference(parsing: "nginx:1.24"), in: present)
                == ["nginx:1.25", "ghcr.io/x/nginx:latest", "ngnix:latest"])
        #expect(try similarNames(to: ImageReference(parsing: "postgres"), in: present) == [])
    }
}
