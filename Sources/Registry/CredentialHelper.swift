import FoundationEssentials
import Glibc
import JSONDocument
import LinuxSystem

/// Programs `docker-credential-NAME`, which keep secrets elsewhere (docker-credential-helpers: an action as argument,
/// the server on standard input, JSON on standard output).
struct CredentialHelper: Sendable {
    private let searchPath: [String]
    private let variables: [String]

    private static let nameByteCountMax = 64
    private static let outputByteCountMax = 256 << 10
    private static let timeoutMilliseconds: UInt64 = 30_000

    init(environment: [String: String]) {
        searchPath = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":").map(String.init)
        variables = environment.map { "\($0.key)=\($0.value)" }.sorted()
    }

    private struct Answer: Codable {
        var ServerURL: String?
        var Username: String
        var Secret: String
    }

    /// nil when the helper knows none.
    func credential(_ name: String, server: String) throws(RegistryError) -> RegistryCredential? {
        let (succeeded, output) = try run(name, "get", Array(server.utf8))
        guard succeeded else {
            let said = String(decoding: output, as: UTF8.self)
            if said.contains("credentials not found") { return nil }
            throw .credentials("docker-credential-\(name) fails: \(harmless(said.trimmedLine))")
        }
        let answer: Answer
        do {
            answer = try JSONDecoder().decode(Answer.self, from: Data(output))
        } catch {
            throw .credentials("docker-credential-\(name) answers something else than its JSON")
        }
        if answer.Username == "<token>" { return .identityToken(answer.Secret) }
        return answer.Username.isEmpty && answer.Secret.isEmpty
            ? nil : .password(username: answer.Username, password: answer.Secret)
    }

    func store(_ name: String, server: String, _ credential: RegistryCredential) throws(RegistryError) {
        let (username, secret): (String, String) =
            switch credential {
            case .password(let username, let password): (username, password)
            case .identityToken(let token): ("<token>", token)
            case .registryToken: throw .unsupported("a registry token in a credential helper")
            }
        let request = JSONValue.object([
            "ServerURL": .string(server), "Username": .string(username), "Secret": .string(secret),
        ])
        try expectSuccess(name, "store", request.encoded)
    }

    func erase(_ name: String, server: String) throws(RegistryError) {
        try expectSuccess(name, "erase", Array(server.utf8))
    }

    private func expectSuccess(_ name: String, _ action: String, _ input: [UInt8]) throws(RegistryError) {
        let (succeeded, output) = try run(name, action, input)
        guard succeeded else {
            let said = String(decoding: output, as: UTF8.self).trimmedLine
            throw .credentials("docker-credential-\(name) \(action) fails: \(harmless(said))")
        }
    }

    private func run(_ name: String, _ action: String, _ input: [UInt8]) throws(RegistryError) -> (Bool, [UInt8]) {
        // The name comes from a file and becomes part of a path.
        let isName = name.utf8.allSatisfy { byte in
            let isLetter = (0x61...0x7a).contains(byte | 0x20) && byte >= 0x41
            return isLetter || (0x30...0x39).contains(byte) || "-_.".utf8.contains(byte)
        }
        guard isName, !name.isEmpty, name.utf8.count <= Self.nameByteCountMax else {
            throw .credentials("bad name of a credential helper: \(harmless(name))")
        }
        let program = "docker-credential-\(name)"
        guard let folder = searchPath.first(where: { $0.hasPrefix("/") && access("\($0)/\(program)", X_OK) == 0 })
        else {
            throw .credentials("\(program) is not installed, and the configuration asks for it")
        }
        let outcome = try converting { () throws(SystemError) in
            try HelperProgram.run(
                path: "\(folder)/\(program)", arguments: [program, action], environment: variables, input: input,
                timeoutMilliseconds: Self.timeoutMilliseconds, outputByteCountMax: Self.outputByteCountMax,
                keepsErrorOutput: false)
        }
        if outcome.end == .timedOut { throw .credentials("\(program) does not answer in time") }
        return (outcome.end == .exited(0), outcome.output)
    }
}

extension String {
    /// The first line that says anything.
    fileprivate var trimmedLine: String { split(separator: "\n").first.map(String.init) ?? "no reason given" }
}
