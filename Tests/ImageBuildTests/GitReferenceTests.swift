import Testing

@testable import ImageBuild

/// The tables of BuildKit's `dfgitutil` and `gitutil` tests, and what must not reach git.
@Suite struct GitReferenceTests {
    @Test(arguments: [
        "https://example.com/", "https://example.com/foo", "https://example.com/foo.git/", "./.git", ".git", "",
        "https://example.com/foo.git.bar", "custom.xyz/moby/buildkit.git", "https://github.com/moby/buildkit",
        "http://github.com/docker/docker.git:#branch", "../x.git", "github.com/moby/buildkit", "file:///x.git",
        "ext::sh -c x", "ftp://x/y.git", "a:b", "user@host", "us er@host:x", "--upload-pack=x", "C:/x.git",
        "https://x/y?a=b.git",
    ])
    func noRepositories(text: String) throws { #expect(try GitReference(text) == nil) }

    @Test(arguments: [
        ("https://example.com/foo.git", "https://example.com/foo.git", "", ""),
        ("https://example.com/foo.git#deadbeef", "https://example.com/foo.git", "deadbeef", ""),
        ("https://example.com/foo.git#release/1.2", "https://example.com/foo.git", "release/1.2", ""),
        ("git://example.com/foo", "git://example.com/foo", "", ""),
        ("https://foo:bar@github.com/moby/buildkit.git", "https://foo:bar@github.com/moby/buildkit.git", "", ""),
        ("git@github.com:moby/buildkit", "git@github.com:moby/buildkit", "", ""),
        ("git@github.com:moby/buildkit.git#v1:docs", "git@github.com:moby/buildkit.git", "v1", "docs"),
        ("ssh://root@subdomain.host:2222/root/my/x.git", "ssh://root@subdomain.host:2222/root/my/x.git", "", ""),
        ("https://github.com/foo/bar.git#baz/qux:quux/quuz", "https://github.com/foo/bar.git", "baz/qux", "quux/quuz"),
        ("https://github.com/docker/docker.git#:myfolder", "https://github.com/docker/docker.git", "", "myfolder"),
        ("https://x/d.git?ref=v1.0.0&subdir=/subdir", "https://x/d.git", "v1.0.0", "/subdir"),
        ("https://x/d.git?tag=v1", "https://x/d.git", "refs/tags/v1", ""),
        ("https://x/d.git?branch=a%2Fb", "https://x/d.git", "refs/heads/a/b", ""),
        ("git@h:x.git?branch=b&subdir=s", "git@h:x.git", "refs/heads/b", "s"),
        ("https://x/d.git#a%20b:c", "https://x/d.git", nil, ""),
        ("https://x/d.git#%6dain", "https://x/d.git", "main", ""),
    ])
    func repositories(text: String, remote: String, reference: String?, folder: String) throws {
        guard let reference else {
            _ = #expect(throws: BuildError.self) { try GitReference(text) }
            return
        }
        let parsed = try #require(try GitReference(text))
        #expect(parsed.remote == remote && parsed.reference ?? "" == reference && parsed.subfolder ?? "" == folder)
    }

    @Test func contexts() throws {
        #expect(try GitReference("github.com/a/b#main:sub", isContext: true)?.remote == "https://github.com/a/b")
        #expect(try GitReference("github.com/a/b#main:sub", isContext: true)?.subfolder == "sub")
        #expect(try GitReference("src/github.com/a", isContext: true) == nil)
    }

    @Test func queries() throws {
        let commit = String(repeating: "a1", count: 20)
        let parsed = try #require(
            try GitReference("https://x/y.git?submodules=false&keep-git-dir&checksum=\(commit)"))
        #expect(parsed.hasSubmodules == false && parsed.keepsGitFolder == true)
        #expect(parsed.checksum == commit && parsed.reference == commit)
        for (query, message) in [
            ("ref=a#b", "ref conflicts"), ("tag=a&branch=b", "conflict"), ("nope=1", "unexpected query"),
            ("ref=a&ref=a", "multiple values"), ("ref=", "no value"), ("submodules=maybe", "invalid submodules"),
            ("subdir=a#:b", "subdir conflicts"), ("checksum=xyz", "is no commit"), ("ref=%zz", "broken escape"),
            ("commit=a&checksum=b", "checksum conflicts"),
        ] {
            let error = failure { _ = try GitReference("https://x/y.git?\(query)") }
            #expect(error.contains(message), "\(query): \(error)")
        }
    }

    /// Options, second arguments, refspecs, and what git gives a meaning.
    @Test(arguments: [
        "https://x/y.git#--upload-pack=touch", "https://x/y.git#a b", "https://x/y.git#a..b", "https://x/y.git#@{-1}",
        "https://x/y.git#a^", "https://x/y.git#/a", "https://x/y.git#a*", "https://x/y.git#a%0ab",
        "https://x/y.git?ref=%2Bx:y", "ssh://-oProxyCommand=x/y", "git://-x/y", "https://x/ y.git",
        "ssh://a@-oProxyCommand=x/y", "https://x/y\\z.git", "https://x/y.git#%00",
    ])
    func hostile(text: String) {
        let error = failure { _ = try GitReference(text) }
        #expect(error.contains("is no "), "\(text): \(error)")
    }

    @Test func branchesBeforeTags() {
        let known = [
            "refs/heads/x": "1", "refs/tags/x": "2", "refs/tags/x^{}": "3", "refs/heads/a/x": "4", "refs/tags/t": "5",
            "refs/tags/t^{}": "6", "HEAD": "7", "refs/pull/1/head": "8",
        ]
        #expect(GitSource.choose("x", known)?.id == "1" && GitSource.choose("refs/tags/x", known)?.id == "3")
        #expect(GitSource.choose("t", known)?.id == "6" && GitSource.choose("HEAD", known)?.id == "7")
        #expect(
            GitSource.choose("refs/pull/1/head", known)?.id == "8" && GitSource.choose("pull/1/head", known)?.id == "8")
        #expect(GitSource.choose("tags/t", known)?.id == "6" && GitSource.choose("a", known) == nil)
    }

    @Test func usersAreNotTold() {
        #expect(AddressParts.withoutUser("https://a:b@c/d@e") == "https://c/d@e")
        #expect(
            AddressParts.withoutUser("https://c/d") == "https://c/d" && AddressParts.withoutUser("a@b:c") == "a@b:c")
    }
}
