import StackModel
import Testing

@Suite struct SensitivityTests {
    @Test func namesTell() {
        let plain = Sensitivity()
        #expect(plain.covers(path: "environment.DB_PASSWORD", "x"))
        #expect(plain.covers(path: "labels.com.example.token", "x"))
        #expect(plain.covers(path: "services.web.environment.DB_PASSWORD", "x"))
        // It says where the secret is.
        #expect(!plain.covers(path: "environment.DB_PASSWORD_FILE", "/run/secrets/db"))
        // Names that users did not choose.
        #expect(!plain.covers(path: "secrets", "pin at /run/secrets/pin"))
        #expect(!plain.covers(path: "environment.DB_PASSWORD", ""))
    }

    @Test func formsTell() {
        let plain = Sensitivity()
        for text in [
            "postgres://shop:hunter2@db/shop", "server --token=abc", "server --password abc", "A_SECRET=abc run",
            "curl -H 'Authorization: Bearer abc'", "ghp_0123456789abcdef", "-----BEGIN EC PRIVATE KEY-----",
        ] {
            #expect(plain.covers(text), "\(text)")
        }
        for text in [
            "postgres://shop@db/shop", "http://db:5432/a@b", "server --token=$TOKEN", "server --port=80", "sh -c true",
            "key", "redis:7", "/run/secrets/key", "--password-file /x", "https://example.com/?a:b@c",
        ] {
            #expect(!plain.covers(text), "\(text)")
        }
    }

    @Test func valuesAreFoundElsewhere() {
        var stack = Stack(name: "shop", services: ["web": Service(image: "postgres:16")])
        stack.services["web"]?.environment = ["DB_PASSWORD": "hunter22", "LOG": "debug", "PG_PASSWORD": "postgres"]
        stack.secrets["pin"] = FileObject(content: Array("four words of content\n".utf8))
        let sensitivity = Sensitivity([stack])
        #expect(sensitivity.covers(path: "command", "run with hunter22 please"))
        #expect(sensitivity.covers("four words of content"))
        #expect(!sensitivity.covers("debug"))
        // What the image is called is no secret, though somebody took it for a password.
        #expect(!sensitivity.covers(path: "image", "postgres:16"))
        #expect(!Sensitivity().covers(path: "command", "run with hunter22 please"))
    }

    @Test func whatTheFileWasFilledInWith() {
        var stack = Stack(name: "shop")
        stack.secretValues = ["canary7"]
        #expect(Sensitivity([stack]).covers(path: "command", "run canary7"))
    }
}
