import LinuxSystem
import NIOSSL

/// The three files of one side, PEM each: `--tlscacert`, `--tlscert` and `--tlskey`.
public struct TLSFiles: Equatable, Sendable {
    /// Whose signatures are trusted.
    public var authority: String?
    /// Our own certificate, and those between it and the authority.
    public var certificate: String?
    public var key: String?

    public init(authority: String? = nil, certificate: String? = nil, key: String? = nil) {
        self.authority = authority
        self.certificate = certificate
        self.key = key
    }

    func readAuthority() throws(TLSError) -> [NIOSSLCertificate]? {
        guard let authority else { return nil }
        return try Self.certificates(authority)
    }

    func readCertificate() throws(TLSError) -> [NIOSSLCertificate]? {
        guard let certificate else { return nil }
        return try Self.certificates(certificate)
    }

    func readKey() throws(TLSError) -> NIOSSLPrivateKey? {
        guard let key else { return nil }
        let bytes = try Self.read(key)
        do {
            return try NIOSSLPrivateKey(bytes: bytes, format: .pem)
        } catch {
            throw .unusableFile(path: key, what: "is no private key in PEM, or has a passphrase")
        }
    }

    private static func certificates(_ path: String) throws(TLSError) -> [NIOSSLCertificate] {
        let bytes = try read(path)
        do {
            let certificates = try NIOSSLCertificate.fromPEMBytes(bytes)
            if !certificates.isEmpty { return certificates }
        } catch {
            // Said below.
        }
        throw .unusableFile(path: path, what: "has no certificate in PEM")
    }

    private static func read(_ path: String) throws(TLSError) -> [UInt8] {
        do throws(SystemError) {
            return try FileSystem.readFile(path)
        } catch {
            throw .unusableFile(path: path, what: "cannot be read: \(error.reason)")
        }
    }
}

/// Why there is no encrypted connection, or can be none.
public enum TLSError: Error, Equatable, Sendable, CustomStringConvertible {
    case unusableFile(path: String, what: String)
    /// Certificate and key together, or what the library says of them.
    case unusableIdentity(String)
    /// The machine or the port does not answer.
    case noConnection(String)
    /// We do not trust the other side.
    case untrusted(String)
    /// The other side does not trust us.
    case refused(String)

    public var description: String {
        switch self {
        case .unusableFile(let path, let what): "\(path) \(what)"
        case .unusableIdentity(let text): "certificate and key cannot be used: \(text)"
        case .noConnection(let text), .untrusted(let text), .refused(let text): text
        }
    }

    /// What a failed handshake means, from this side.
    static func handshake(_ error: any Error) -> TLSError {
        let text = "\(error)"
        func names(_ words: String...) -> Bool { words.contains { text.contains($0) } }
        if names("CERTIFICATE_VERIFY_FAILED", "unableToValidateCertificate") {
            return .untrusted("its certificate is expired, or not signed by the authority that is trusted")
        }
        if names("find", "failedToValidateHostname") && names("in certificate", "Hostname") {
            return .untrusted("its certificate is made for another name or address")
        }
        if names("CERTIFICATE_EXPIRED") { return .refused("our certificate is expired") }
        if names("CERTIFICATE_REQUIRED", "PEER_DID_NOT_RETURN_A_CERTIFICATE", "HANDSHAKE_FAILURE") {
            return .refused("a client certificate is required")
        }
        if names("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "DECRYPT_ERROR") {
            return .refused("our certificate is not signed by the authority that is trusted there")
        }
        if names("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION") {
            return .refused("the other side speaks no TLS, or only an old version of it")
        }
        if names("EOF during handshake") { return .refused("the connection was closed during the handshake") }
        return .refused(text)
    }
}
