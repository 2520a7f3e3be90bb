/// Whether a name says that what stands under it is secret: `DB_PASSWORD`, `PGPASSWORD`, `GITHUB_TOKEN`, `apiKey`,
/// `client-secret`; not `DB_PASSWORD_FILE`, which says where it is, nor `SORT_KEY`, `KEYBOARD` or `PWD`, a shell's
/// folder. The one rule for everything that is printed or stored.
public func isSecretName(_ name: String) -> Bool {
    let words = splitWords(name)
    guard let last = words.last, words != ["PWD"], words != ["OLDPWD"] else { return false }
    if words.contains("WEBHOOK") { return true }
    if describingWords.contains(last) { return false }
    let qualifier = words.dropLast().last
    if let qualifier, publicQualifiers.contains(qualifier) { return false }
    if words.contains(where: { secretWords.contains($0) || secretSuffixes.contains(where: $0.hasSuffix) }) {
        return true
    }
    return secretLastWords.contains(last) && (qualifier != nil || !last.hasPrefix("KEY"))
}

private let secretWords: Set<String> = [
    "PASS", "PWD", "SECRETS", "TOKENS", "PASSWORDS", "CREDENTIALS", "CREDS", "AUTHORIZATION", "BEARER",
]
/// Of a word, for those who write two in one: `PGPASSWORD`, `CLIENTSECRET`.
private let secretSuffixes = [
    "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY", "PRIVATEKEY", "ACCESSKEY",
    "SECRETKEY",
]
/// Secret where they end a name; elsewhere they describe: `BASIC_AUTH`, but `AUTH_MODE`.
private let secretLastWords: Set<String> = ["KEY", "KEYS", "AUTH", "COOKIE", "SALT", "DSN", "JWT", "OTP"]
/// Before a last word that would be secret: `SORT_KEY`, `MAX_TOKENS`.
private let publicQualifiers: Set<String> = [
    "SORT", "PRIMARY", "FOREIGN", "PUBLIC", "PARTITION", "INDEX", "CACHE", "ROUTING", "MAX", "MIN", "NUM",
]
/// Last words of names that say something about a secret, and not the secret.
private let describingWords: Set<String> = [
    "FILE", "FILES", "PATH", "DIR", "NAME", "TYPE", "LENGTH", "TTL", "EXPIRY", "URL", "ID", "SOCK", "ENABLED",
]

/// In capitals; at everything that is no letter or digit, and where a capital letter follows a small one.
private func splitWords(_ name: String) -> [String] {
    var result: [String] = []
    var word = ""
    var previous: Character = " "
    for character in name {
        let isPart = character.isLetter || character.isNumber
        if !isPart || previous.isLowercase && character.isUppercase {
            if !word.isEmpty { result.append(word.uppercased()) }
            word = ""
        }
        if isPart { word.append(character) }
        previous = character
    }
    if !word.isEmpty { result.append(word.uppercased()) }
    return result
}
