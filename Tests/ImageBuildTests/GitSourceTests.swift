import CLinux
import Glibc
import LinuxSystem
import Registry
import Testing

@testable import ImageBuild

/// The system's git against servers of its own.
@Suite(.serialized, .enabled(if: LoopbackServer.isPossible, "git or python3 is not installed"))
struct GitSourceTests {
    let tree: Tree
    let server: LoopbackServer
    let first: String
    let second: String
    let stop = Cancellation()

    init() throws {
        tree = try Tree()
        first = try shell(
            tree.path,
            """
            git init -q work; cd work
            echo one > a; mkdir sub; echo x > sub/x; echo run > run; chmod +x run; ln -s /etc sub/out
            printf 'a filter=evil\\n' > .gitattributes
            git add . >/dev/null; git commit -qm 1; git tag -a v1 -m v1; git branch old; git rev-parse HEAD
            """)
        second = try shell(
            tree.path,
            """
            cd work; echo two > a; git commit -qam 2; git rev-parse HEAD; cd ..
            git clone -q --bare work r.git; git -C r.git update-server-info
            """)
        server = try LoopbackServer(files: tree.path)
    }

    private func source(
        _ suffix: String = "", way: String = "git", keepsGitFolder: Bool? = nil, checksum: String? = nil,
        _ change: (inout GitOptions) -> Void = { _ in }
    ) throws -> GitSource {
        var options = GitOptions()
        change(&options)
        let reference = try #require(try GitReference("http://127.0.0.1:\(server.port)/\(way)/r.git\(suffix)"))
        return try GitSource(reference, keepsGitFolder: keepsGitFolder, checksum: checksum, options: options)
    }

    private func checkOut(_ source: GitSource, _ name: String = "out") throws -> [String] {
        try tree.folder(name, mode: 0o700)
        _ = try source.checkOut(source.resolve(stop: stop), into: tree.at(name), stop: stop)
        return try tree.listing(name).filter { !$0.hasPrefix("\(name)/.git") }
    }

    private static func content(_ name: String, _ a: String) -> [String] {
        ["a=\(a)\n", "run=run\n", "sub/", "sub/out -> /etc", "sub/x=x\n"].map { "\(name)/\($0)" }
    }

    @Test func branchesTagsAndCommits() throws {
        for (suffix, commit) in [
            ("", second), ("#main", second), ("#old", first), ("#v1", first), ("?tag=v1", first),
            ("#refs/heads/old", first),
            ("#\(first)", first), ("?branch=old&commit=\(first)", first),
        ] {
            #expect(try source(suffix).resolve(stop: stop).id == commit, "\(suffix)")
        }
        let error = failure { _ = try source("#nowhere").resolve(stop: stop) }
        #expect(error.contains("has no branch or tag \"nowhere\""))
    }

    @Test(arguments: ["git", "dumb"])
    func checkouts(way: String) throws {
        #expect(try checkOut(source(way: way)) == Self.content("out", "two"))
        #expect(try checkOut(source("#v1", way: way), "tag") == Self.content("tag", "one"))
        #expect(try checkOut(source("#\(first)", way: way), "commit") == Self.content("commit", "one"))
        #expect(try tree.attributes("out/a") == "644 0:0" && tree.attributes("out/run") == "755 0:0")
        #expect(try !tree.exists("out/.git") && tree.attributes("out/sub") == "755 0:0")
    }

    @Test func aFolderOfTheRepository() throws {
        try tree.folder("out")
        let wanted = try source("#main:sub")
        let found = try wanted.checkOut(wanted.resolve(stop: stop), into: tree.at("out"), stop: stop)
        let image = try Tree()
        try copy(".", to: "/x/", from: found, into: image)
        #expect(try image.listing() == ["x/", "x/out -> /etc", "x/x=x\n"])
        for folder in ["nothing", "a", "sub/out", "sub/out/ssl"] {
            try tree.folder("o-\(folder.count)")
            let other = try source("#main:\(folder)")
            let commit = try other.resolve(stop: stop)
            let error = failure { _ = try other.checkOut(commit, into: tree.at("o-\(folder.count)"), stop: stop) }
            #expect(error.contains("has no folder"), "\(folder): \(error)")
        }
    }

    @Test func theGitFolderIsKeptWithoutSecrets() throws {
        let address = "http://user:secret@127.0.0.1:\(server.port)/git/r.git"
        let wanted = try GitSource(try #require(try GitReference(address)), keepsGitFolder: true)
        #expect(try checkOut(wanted) == Self.content("out", "two"))
        #expect(
            try shell(tree.at("out"), "git config safe.directory '*'; git -c safe.directory='*' rev-parse HEAD")
                == second)
        let config = try tree.text("out/.git/config")
        #expect(config.contains("http://127.0.0.1") && !config.contains("secret"))
        #expect(!tree.exists("out/.git/FETCH_HEAD") && !tree.exists("out/.git/hooks"))
        let found = try shell(tree.at("out"), "grep -r secret . || echo nothing")
        #expect(found == "nothing")
        #expect(failure { _ = try source("?keep-git-dir=0", keepsGitFolder: true) }.contains("keep-git-dir"))
    }

    /// Names are bytes to git.
    @Test func submodulesBesideNamesThatAreNoText() throws {
        try shell(
            tree.path,
            """
            git init -q module; cd module; echo m > m; git add m; git commit -qm m; cd ..
            git clone -q --bare module module.git
            cd work; git submodule --quiet add ../module.git part
            git config -f .gitmodules submodule.part.url ../module.git
            name=$(printf 'b\\377d'); mkdir "$name"; echo x > "$name/x"
            git add .; git commit -qm s; git push -q ../r.git main
            """)
        try tree.folder("out", mode: 0o700)
        let wanted = try source()
        _ = try wanted.checkOut(wanted.resolve(stop: stop), into: tree.at("out"), stop: stop)
        #expect(try tree.text("out/part/m") == "m\n" && !tree.exists("out/part/.git"))
        #expect(try shell(tree.at("out"), "cat b*/x") == "x")
    }

    /// User and password reach the server, its submodules' too, and nothing else: no file, and no list of processes.
    @Test func passwordsAreKeptFromEverybodyElse() throws {
        try shell(
            tree.path,
            """
            git init -q module; cd module; echo m > m; git add m; git commit -qm m; cd ..
            git clone -q --bare module module.git
            cd work; git submodule --quiet add ../module.git part
            git config -f .gitmodules submodule.part.url ../module.git
            git add .; git commit -qm s; git push -q ../r.git main
            """)
        let address = "http://user:qX7%2Freadable-by-nobody@127.0.0.1:\(server.port)/private/r.git"
        let wanted = try GitSource(try #require(try GitReference(address)), keepsGitFolder: true)
        #expect(try checkOut(wanted).contains("out/part/m=m\n"))
        #expect(try tree.text("out/.git/config").contains("http://127.0.0.1"))
        #expect(try shell(tree.at("out"), "grep -r readable-by-nobody . || echo nothing") == "nothing")
        // What is redirected elsewhere is asked for without them.
        let elsewhere = try LoopbackServer(files: tree.path)
        try tree.file("target", "http://127.0.0.1:\(elsewhere.port)/private/r.git/info/refs?service=git-upload-pack")
        let away = try #require(try GitReference(address.replacing("/private/r", with: "/away/r")))
        #expect(failure { _ = try GitSource(away).resolve(stop: stop) }.contains("git ls-remote"))
        let asked = try elsewhere.log()
        #expect(asked.contains("/private/r.git") && !asked.contains("Basic"), "\(asked)")
        let named = try #require(try GitReference("http://named@127.0.0.1:\(server.port)/git/module.git"))
        _ = try GitSource(named).resolve(stop: stop)
        let told = try server.log()
        #expect(told.contains("/private/module.git") && !told.contains("LEAK"), "\(told)")
        #expect(!told.contains("bmFtZWQ6"))
        let other = try #require(try GitReference(address.replacing("qX7", with: "qX8")))
        #expect(failure { _ = try GitSource(other).resolve(stop: stop) }.contains("git ls-remote"))
    }

    @Test func checksums() throws {
        #expect(try source(checksum: second).resolve(stop: stop).id == second)
        #expect(try source("#v1", checksum: String(first.prefix(7))).resolve(stop: stop).id == first)
        let error = failure { _ = try source("#v1", checksum: second).resolve(stop: stop) }
        #expect(error.contains("was expected") && error.contains(first))
        #expect(failure { _ = try source(checksum: "sha256:x") }.contains("is no commit"))
        #expect(failure { _ = try source("?checksum=\(first)", checksum: second) }.contains("different commits"))
    }

    @Test func aBranchThatMovesMeanwhile() throws {
        let wanted = try source()
        let commit = try wanted.resolve(stop: stop)
        try shell(tree.path, "cd work; echo three > a; git commit -qam 3; git push -q ../r.git main")
        try tree.folder("out")
        let error = failure { _ = try wanted.checkOut(commit, into: tree.at("out"), stop: stop) }
        #expect(error.contains("build again"))
    }

    @Test func submodules() throws {
        let base = "http://127.0.0.1:\(server.port)/git"
        try shell(
            tree.path,
            """
            git init -q module; cd module; echo m > m; git add m; git commit -qm m; cd ..
            git clone -q --bare module module.git
            cd work; git submodule --quiet add ../module.git part; git config -f .gitmodules submodule.part.url \(base)/module.git
            git add .; git commit -qm s; git push -q ../r.git main
            """)
        #expect(try checkOut(source()).contains("out/part/m=m\n"))
        #expect(!tree.exists("out/part/.git"))
        #expect(try checkOut(source("?submodules=false"), "none").contains("none/part/m=m\n") == false)
        #expect(try checkOut(source(keepsGitFolder: true), "kept").contains("kept/part/m=m\n"))
    }

    /// A repository that names a submodule by a path of this machine, or by a command.
    @Test func hostileSubmodules() throws {
        try shell(tree.path, "git init -q victim; cd victim; echo s > s; git add s; git commit -qm s")
        for (number, address) in [
            tree.at("victim"), "file://\(tree.at("victim"))", "ext::sh -c touch% \(tree.at("owned"))", "-u./x",
        ].enumerated() {
            try shell(
                tree.path,
                """
                rm -rf h\(number) h\(number).git; git init -q h\(number); cd h\(number); echo a > a; git add a
                git update-index --add --cacheinfo 160000,$(git -C ../victim rev-parse HEAD),part
                printf '[submodule "part"]\\n\\tpath = part\\n\\turl = %s\\n' '\(address)' > .gitmodules; git add .gitmodules
                git commit -qm h; cd ..; git clone -q --bare h\(number) r.git/../h.git; rm -rf r.git; mv h.git r.git
                """)
            let error = failure { _ = try checkOut(source(), "o\(number)") }
            #expect(error.contains("git submodule"), "\(address): \(error)")
            #expect(!tree.exists("owned") && !tree.exists("o\(number)/part/s"), "\(address)")
        }
    }

    @Test func theGitProtocol() throws {
        let daemon = try LoopbackServer { [tree] port in
            [
                LoopbackServer.git, "-c", "safe.directory=*", "daemon", "--export-all", "--reuseaddr",
                "--base-path=\(tree.path)", "--listen=127.0.0.1", "--port=\(port)",
            ]
        }
        let wanted = try GitSource(try #require(try GitReference("git://127.0.0.1:\(daemon.port)/r.git#old")))
        #expect(try checkOut(wanted) == Self.content("out", "one"))
    }

    @Test func authorizationGoesToTheRepositoryOnly() throws {
        let commit = try source {
            $0.secrets = RemoteSecrets(["GIT_AUTH_HEADER": Array("basic c2VjcmV0\n".utf8)])
        }.resolve(stop: stop)
        #expect(commit.id == second)
        let told = try server.log()
        #expect(told.contains("basic c2VjcmV0"))
    }

    /// Hosts are not asked about: there is nobody to answer.
    @Test func howSSHIsRun() throws {
        let wanted = try #require(try GitReference("git@host.invalid:r.git"))
        try tree.file("git", "#!/bin/sh\necho \"fatal: $GIT_SSH_COMMAND, $SSH_AUTH_SOCK\"; exit 1", mode: 0o755)
        var options = GitOptions(secrets: [:], agents: ["default": "/agent"], proxies: [])
        options.paths = [tree.at("git")]
        let error = failure { _ = try GitSource(wanted, options: options).resolve(stop: stop) }
        #expect(
            error.contains("-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/dev/null, /agent"), "\(error)")
        #expect(error.contains("-F /dev/null -o BatchMode=yes"))
    }

    @Test func withoutGit() throws {
        let error = failure { _ = try source { $0.paths = ["/nonexistent/git"] }.resolve(stop: stop) }
        #expect(error.contains("git is not installed") && error.contains("install git"))
    }

    @Test func limits() throws {
        try shell(
            tree.path,
            "cd work; head -c 3000000 /dev/urandom > big; git add big; git commit -qm b; git push -q ../r.git main")
        let small = try source { $0.byteCountMax = 1_000_000 }
        let error = failure { _ = try checkOut(small) }
        #expect(error.contains("more than 1000000 bytes"), "\(error)")
        let slow = try #require(try GitReference("http://127.0.0.1:\(server.port)/stall/r.git"))
        var options = GitOptions()
        options.secondsMax = 1
        let late = failure { _ = try GitSource(slow, options: options).resolve(stop: stop) }
        #expect(late.contains("did not end within 1 seconds"), "\(late)")
        let stopped = Cancellation()
        stopped.cancel()
        #expect(failure { _ = try GitSource(slow).resolve(stop: stopped) } == "cancelled")
    }

    @Test func whatFailsSaysWhy() throws {
        let reference = try #require(try GitReference("http://user:secret@127.0.0.1:\(server.port)/git/none.git"))
        let error = failure { _ = try GitSource(reference).resolve(stop: stop) }
        #expect(error.contains("git ls-remote") && error.contains("not found") && !error.contains("secret"), "\(error)")
    }
}
