import FoundationEssentials
import Glibc
import LinuxSystem
import Testing

@testable import Registry

struct CredentialTests {
    private let folder: TemporaryFolder
    private let files: CredentialFiles

    init() throws {
        folder = try TemporaryFolder()
        files = CredentialFiles(environment: [
            "DOCKER_CONFIG": "\(folder.path)/docker", "XDG_RUNTIME_DIR": "\(folder.path)/run", "HOME": folder.path,
            "PATH": "\(folder.path)/bin:/usr/bin:/bin", "NOTES": "\(folder.path)/notes",
        ])
    }

    private func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    @Test func entriesAreFoundByHost() throws {
        try folder.write(
            "docker/config.json",
            """
            {"auths": {"https://index.docker.io/v1/": {"auth": "\(base64("hub:p:w"))"},
              "https://old.test/v1/": {"auth": "\(base64("old:x"))\u{0}"}, "id.test": {"identitytoken": "T"},
              "plain.test": {"username": "u", "password": "p"}, "empty.test": {}, "bad.test": {"auth": "!"}},
              "HttpHeaders": {"a": 1}}
            """.replacing("\u{0}", with: ""))
        func found(_ host: String) throws -> RegistryCredential? {
            try files.credential(host: host, repository: "library/a")
        }
        #expect(try found("docker.io") == .password(username: "hub", password: "p:w"))
        #expect(try found("old.test") == .password(username: "old", password: "x"))
        #expect(try found("id.test") == .identityToken("T"))
        #expect(try found("plain.test") == .password(username: "u", password: "p"))
        #expect(try found("empty.test") == nil)
        #expect(try found("index.docker.io.evil.test") == nil)
        #expect(throws: RegistryError.self) { try found("bad.test") }
    }

    @Test func podmansFileIsByLongestPrefix() throws {
        try folder.write(
            "run/containers/auth.json",
            """
            {"auths": {"q.test": {"auth": "\(base64("host:1"))"}, "q.test/team": {"auth": "\(base64("team:2"))"},
              "q.test/team/app": {"auth": "\(base64("app:3"))"}}}
            """)
        func user(_ repository: String) throws -> RegistryCredential? {
            try files.credential(host: "q.test", repository: repository)
        }
        #expect(try user("team/app") == .password(username: "app", password: "3"))
        #expect(try user("team/other") == .password(username: "team", password: "2"))
        #expect(try user("teams/app") == .password(username: "host", password: "1"))
    }

    @Test func helpersAreAsked() throws {
        try folder.write(
            "bin/docker-credential-fake",
            """
            #!/bin/sh
            read -r server
            echo "$1 $server" >> $NOTES
            case "$1 $server" in
            "get good.test") echo '{"ServerURL":"good.test","Username":"u","Secret":"s"}' ;;
            "get token.test") echo '{"Username":"<token>","Secret":"t"}'; echo noise >&2 ;;
            "get none.test") echo 'credentials not found in native keychain'; exit 1 ;;
            "get odd.test") echo 'no json' ;;
            "get "*) printf 'locked\\033[2J\\n'; exit 1 ;;
            esac
            """, mode: 0o755)
        try folder.write(
            "docker/config.json",
            #"{"credsStore": "fake", "credHelpers": {"evil.test": "../../bin/sh", "gone.test": "gone"}}"#)
        func found(_ host: String) throws -> RegistryCredential? { try files.credential(host: host, repository: nil) }
        #expect(try found("good.test") == .password(username: "u", password: "s"))
        #expect(try found("token.test") == .identityToken("t"))
        #expect(try found("none.test") == nil)
        for host in ["odd.test", "evil.test", "gone.test"] {
            #expect(throws: RegistryError.self) { try found(host) }
        }
        let error = #expect(throws: RegistryError.self) { try found("locked.test") }
        #expect(error?.description == "docker-credential-fake fails: locked\\u{1b}[2J")
        try files.store(.password(username: "u", password: "s"), host: "docker.io")
        #expect(try files.erase(host: "good.test"))
        let notes = String(decoding: try FileSystem.readFile("\(folder.path)/notes"), as: UTF8.self)
        #expect(notes.contains("erase good.test"))
        #expect(notes.contains(#"store {"Secret":"s","ServerURL":"https://index.docker.io/v1/","Username":"u"}"#))
    }

    @Test func loginKeepsWhatItDoesNotKnow() throws {
        let path = try folder.write(
            "docker/config.json",
            """
            {"psFormat":"x","big":9007199254740993,"deep":[{"a":null,"b":true}],
             "auths":{"a.test":{"auth":"eDp5","email":"e"}}}
            """
        )
        try files.store(.password(username: "u", password: "p"), host: "b.test")
        #expect(try files.credential(host: "b.test", repository: nil) == .password(username: "u", password: "p"))
        #expect(try files.credential(host: "a.test", repository: nil) == .password(username: "x", password: "y"))
        let text = String(decoding: try FileSystem.readFile(path), as: UTF8.self)
        for part in ["\"psFormat\" : \"x\"", "9007199254740993", "null", "\"email\" : \"e\""] {
            #expect(text.contains(part), "\(part)")
        }
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(try files.erase(host: "b.test"))
        #expect(try !files.erase(host: "b.test"))
        #expect(try files.credential(host: "b.test", repository: nil) == nil)
    }

    @Test func loginWritesThroughALink() throws {
        let real = try folder.write("elsewhere.json", "{}")
        try FileSystem.makeDirectories("\(folder.path)/docker")
        #expect(symlink(real, files.dockerPath) == 0)
        try files.store(.identityToken("t"), host: "a.test")
        var status = stat()
        #expect(lstat(files.dockerPath, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
        #expect(String(decoding: try FileSystem.readFile(real), as: UTF8.self).contains("identitytoken"))
    }

    @Test(arguments: ["[]", "{", "nonsense", "\"a\""])
    func brokenFilesAreToldAndKept(text: String) throws {
        let path = try folder.write("docker/config.json", text)
        #expect(throws: RegistryError.self) { try files.credential(host: "a.test", repository: nil) }
        #expect(throws: RegistryError.self) { try files.store(.identityToken("t"), host: "a.test") }
        #expect(try FileSystem.readFile(path) == Array(text.utf8))
    }

    @Test func theHeaderOfDockersAPI() throws {
        for credential in [
            RegistryCredential.password(username: "ü>?", password: "p\u{ff}~"), .identityToken("t"),
            .registryToken("r"),
        ] {
            let header = credential.registryAuthHeader(host: "a.test")
            #expect(!header.contains("+") && !header.contains("/"))
            #expect(try RegistryCredential.parse(registryAuthHeader: header) == credential)
        }
        #expect(try RegistryCredential.parse(registryAuthHeader: "") == nil)
        #expect(try RegistryCredential.parse(registryAuthHeader: "e30") == nil)
        for bad in ["!!!", "e3", "bnVsbA=x", "W10="] {
            #expect(throws: RegistryError.self) { try RegistryCredential.parse(registryAuthHeader: bad) }
        }
    }

    @Test func secretsAreNotShown() {
        let credential = RegistryCredential.password(username: "u", password: "hidden")
        #expect(!"\(credential)".contains("hidden") && !String(reflecting: credential).contains("hidden"))
        var text = ""
        dump(credential, to: &text)
        #expect(!text.contains("hidden"))
    }
}
