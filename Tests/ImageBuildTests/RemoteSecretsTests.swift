import Registry
import Testing

@testable import ImageBuild

/// As moby/buildkit's source/git and source/http have them.
struct RemoteSecretsTests {
    private func secrets(_ values: [String: String]) -> RemoteSecrets {
        RemoteSecrets(values.mapValues { Array($0.utf8) })
    }

    @Test func ofGit() {
        let all = [
            "GIT_AUTH_HEADER": "basic a", "GIT_AUTH_TOKEN": "token\n", "GIT_AUTH_HEADER.h": "basic b",
            "GIT_AUTH_TOKEN.h": "t", "GIT_AUTH_TOKEN.h:81": "u",
        ]
        func value(_ authority: String, without names: String...) -> String? {
            secrets(all.filter { !names.contains($0.key) }).gitAuthorization(authority: authority)
        }
        #expect(value("h") == "basic b" && value("other") == "basic a")
        #expect(value("h", without: "GIT_AUTH_HEADER.h") == "Basic eC1hY2Nlc3MtdG9rZW46dA==")
        #expect(value("h:81") == "Basic eC1hY2Nlc3MtdG9rZW46dQ==")
        #expect(value("other", without: "GIT_AUTH_HEADER") == "Basic eC1hY2Nlc3MtdG9rZW46dG9rZW4=")
        #expect(secrets([:]).gitAuthorization(authority: "h") == nil)
    }

    @Test func ofFiles() {
        let both = secrets([
            "HTTP_AUTH_TOKEN_h": "t\n", "HTTP_AUTH_HEADER_h": "basic a", "HTTP_AUTH_HEADER_::1": "x\r\nHost: y",
        ])
        #expect(both.httpAuthorization("https://h:444/x") == "Bearer t")
        #expect(both.httpAuthorization("http://[::1]/x") == "xHost: y")
        #expect(both.httpAuthorization("https://other/h") == nil)
        #expect(secrets(["HTTP_AUTH_HEADER_h": "basic a"]).httpAuthorization("http://h") == "basic a")
    }

    @Test func ofABuild() {
        let options = GitOptions(
            secrets: ["GIT_AUTH_TOKEN": [0x74]], agents: ["default": "/s", "other": "/t"], proxies: ["HTTP_PROXY=p"])
        #expect(options.secrets.gitAuthorization(authority: "h") != nil)
        #expect(options.agentSocket == "/s" && options.proxies == ["HTTP_PROXY=p"])
    }
}
