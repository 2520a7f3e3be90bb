import Images
import LinuxSystem

/// One entry of the list `errors` in a registry's answer (distribution-spec, "Error Codes"). The texts are the server's
/// own, made harmless for terminals.
public struct RegistryErrorDetail: Equatable, Sendable {
    /// `MANIFEST_UNKNOWN` and the like; empty when the server gave none.
    public var code: String
    public var message: String
}

/// What can go wrong with a registry, told so that the user knows what to do. `host` is as users write it.
public enum RegistryError: Error, Equatable, Sendable, CustomStringConvertible {
    /// libcurl cannot be loaded.
    case libraryMissing(why: String)
    /// The registry wants other credentials or some at all.
    case unauthorized(host: String, message: String)
    /// Logged in, and not allowed.
    case denied(host: String, message: String)
    /// No such manifest, blob or repository.
    case notFound(what: String, message: String)
    /// 429 until the patience was over; `retryAfterSeconds` is the server's wish.
    case tooManyRequests(host: String, message: String, retryAfterSeconds: Int?)
    /// The server's certificate is not trusted, or is for another host.
    case certificate(host: String, why: String)
    /// The TLS handshake failed: often a registry that speaks plain HTTP.
    case handshake(host: String, why: String)
    /// No connection, a broken one, or no answer in time. `isPermanent` for a name that does not resolve.
    case unreachable(host: String, why: String, isPermanent: Bool)
    /// A status that nothing above stands for.
    case status(host: String, code: Int, details: [RegistryErrorDetail])
    /// The server breaks the protocol.
    case invalidResponse(host: String, why: String)
    /// Content that is not what its digest says.
    case digestMismatch(expected: Digest, actual: Digest, what: String)
    case wrongSize(expected: Int64, actual: Int64, what: String)
    case tooLarge(what: String, byteCountMax: Int)
    /// An index without an image for the platform.
    case noPlatform(wanted: String, available: [String])
    case unsupported(String)
    /// A file of the configuration that breaks a rule; `line` from 1, 0 without.
    case configuration(path: String, line: Int, why: String)
    /// A credential helper or a credentials file that does not work.
    case credentials(String)
    case invalidReference(String)
    case cancelled
    /// What the receiver or giver of bytes found wrong.
    case content(String)
    case system(SystemError)

    public var description: String {
        switch self {
        case .libraryMissing(let why): "libcurl cannot be loaded, install libcurl4: \(why)"
        case .unauthorized(let host, let message):
            "unauthorized: log in with gantry login \(host)" + suffix(message)
        case .denied(let host, let message): "access denied by \(host)" + suffix(message)
        case .notFound(let what, let message): "\(what)" + suffix(message)
        case .tooManyRequests(let host, let message, let seconds):
            "\(host) answers 429, too many requests" + (seconds.map { "; try again in \($0) s" } ?? "")
                + suffix(message)
        case .certificate(let host, let why):
            "the certificate of \(host) is not trusted (\(why)); put its CA into /etc/gantry/certs.d/\(host)/ca.crt"
        case .handshake(let host, let why):
            "no TLS with \(host) (\(why)); for a registry without TLS put server = \"http://\(host)\" into "
                + "/etc/gantry/certs.d/\(host)/hosts.toml"
        case .unreachable(let host, let why, _): "cannot reach \(host): \(why)"
        case .status(let host, let code, let details):
            "\(host) answers \(code)"
                + suffix(
                    details.map { [$0.code, $0.message].filter { !$0.isEmpty }.joined(separator: " ") }
                        .joined(separator: "; "))
        case .invalidResponse(let host, let why): "unexpected answer of \(host): \(why)"
        case .digestMismatch(let expected, let actual, let what): "\(what) has digest \(actual), expected \(expected)"
        case .wrongSize(let expected, let actual, let what): "\(what) has \(actual) bytes, expected \(expected)"
        case .tooLarge(let what, let byteCountMax): "\(what) is larger than \(byteCountMax) bytes"
        case .noPlatform(let wanted, let available):
            "no image for \(wanted)" + (available.isEmpty ? "" : "; there are \(available.joined(separator: ", "))")
        case .unsupported(let what): "not supported: \(what)"
        case .configuration(let path, let line, let why): line > 0 ? "\(path):\(line): \(why)" : "\(path): \(why)"
        case .credentials(let why): why
        case .invalidReference(let why): why
        case .cancelled: "cancelled"
        case .content(let why): why
        case .system(let error): error.description
        }
    }

    private func suffix(_ message: String) -> String { message.isEmpty ? "" : ": \(message)" }
}

extension RegistryError {
    /// Whether the same request may go better a moment later.
    var isTransient: Bool {
        switch self {
        case .unreachable(_, _, let isPermanent): !isPermanent
        case .tooManyRequests: true
        case .status(_, let code, _): code == 408 || code >= 500 && code != 501 && code != 505
        default: false
        }
    }

    /// Whether another mirror of the registry may do better.
    var allowsOtherHost: Bool {
        switch self {
        case .cancelled, .content, .libraryMissing, .system: false
        default: true
        }
    }
}

/// Text of a server for people: control and formatting characters escaped, at most 300 characters.
func harmless(_ text: some StringProtocol) -> String {
    let characterCountMax = 300
    var result = ""
    var count = 0
    for scalar in text.unicodeScalars {
        guard count < characterCountMax else { return result + "…" }
        count += 1
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            result += scalar == "\n" || scalar == "\t" ? " " : "\\u{\(String(scalar.value, radix: 16))}"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// Runs what fails with an errno, as a registry error.
func converting<Result: ~Copyable>(_ body: () throws(SystemError) -> Result) throws(RegistryError) -> Result {
    do {
        return try body()
    } catch {
        throw .system(error)
    }
}
