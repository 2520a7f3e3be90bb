import StackModel
import Testing

@Suite struct SecretMaskTests {
    private func mask(_ values: String...) -> SecretMask {
        var mask = SecretMask()
        for value in values { mask.add(value) }
        return mask
    }

    @Test func replacesEveryOccurrence() {
        #expect(mask("canary").mask("a canary, canarycanary") == "a ***, ******")
        #expect(mask("canary").mask("nothing") == "nothing")
        #expect(SecretMask().mask("nothing") == "nothing")
    }

    @Test func theLongerOfTwoWins() { #expect(mask("abcd", "abcdef").mask("abcdefg abcd") == "***g ***") }

    @Test func blanksAroundAreNoneOfIt() { #expect(mask(" canary\n").mask("<canary>") == "<***>") }

    @Test func whatIsTooShortOrAWordIsLeft() {
        #expect(mask("abc", "true", "", " \n").isEmpty)
        #expect(mask("TRUE").mask("TRUE") == "TRUE")
    }

    @Test func findsItAsOtherFormatsWriteIt() {
        let mask = mask("a\"b\\c&d<e%f")
        #expect(mask.mask(#"{"x":"a\"b\\c&d<e%f"}"#) == #"{"x":"***"}"#)
        #expect(mask.mask("<x y='a&quot;b\\c&amp;d&lt;e%f'/>") == "<x y='***'/>")
        #expect(mask.mask("::error::a\"b\\c&d<e%25f") == "::error::***")
    }

    @Test func everyLongLineOfAKeyIsOne() {
        let mask = mask("-----BEGIN KEY-----\nMIIBOgIBAAJBAK\nzz\n-----END KEY-----\n")
        #expect(mask.mask("log: MIIBOgIBAAJBAK zz") == "log: *** zz")
        #expect(mask.mask("-----BEGIN KEY-----\nMIIBOgIBAAJBAK\nzz\n-----END KEY-----") == "***")
    }

    @Test(arguments: [
        "DB_PASSWORD", "PGPASSWORD", "password", "GITHUB_TOKEN", "API_KEY", "aws-secret-access-key", "MYSQL_ROOT_PASS",
        "DB_PWD", "CLIENTSECRET", "SSH_PRIVATE_KEY", "apiKey", "client-secret", "STRIPE_KEY", "basic.auth",
        "API_TOKENS",
        "SENTRY_DSN", "SLACK_WEBHOOK_URL", "--password", "AWS_SECRET_ACCESS_KEY",
    ]) func namesThatAreSecret(_ name: String) { #expect(isSecretName(name)) }

    @Test(arguments: [
        "PWD", "OLDPWD", "DB_PASSWORD_FILE", "SORT_KEY", "KEY", "TOKEN_TTL", "PATH", "BYPASS", "", "_", "COMPASS",
        "SECRET_NAME", "KEYBOARD", "LOG", "MONKEY", "HOSTNAME", "AUTHOR", "AUTH_MODE", "MAX_TOKENS", "PUBLIC_KEY",
        "SSH_AUTH_SOCK", "TOKENIZERS_PARALLELISM", "AWS_ACCESS_KEY_ID", "--password-file",
    ]) func namesThatAreNot(_ name: String) { #expect(!isSecretName(name)) }

    @Test func collectsAStacksSecrets() {
        var stack = Stack(name: "shop")
        stack.secrets["key"] = FileObject(content: Array("from-the-file\n".utf8))
        var service = Service(image: "web")
        service.environment = ["DB_PASSWORD": "from-a-variable", "COLOUR": "green", "API_KEY": nil]
        stack.services["web"] = service
        #expect(SecretMask(of: stack).texts == ["from-the-file", "from-a-variable"])
        stack.secretValues = ["substituted"]
        #expect(SecretMask(of: stack).texts.last == "substituted")
        var hook = Hook(command: ["x"])
        hook.environment = ["A_TOKEN": "from-a-hook"]
        stack.services["web"]?.preStop = [hook]
        #expect(SecretMask(of: stack).mask("from-a-hook") == "***")
    }

    @Test func whatIsANameTooIsLeft() {
        var stack = Stack(name: "shop")
        var service = Service(image: "postgres:16")
        service.environment = ["POSTGRES_PASSWORD": "postgres"]
        stack.services["db"] = service
        #expect(SecretMask(of: stack).isEmpty)
    }
}
