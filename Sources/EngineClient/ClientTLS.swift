import LinuxSystem
import TLSTransport

/// What the command line says about TLS, in the words of Docker's.
public struct ClientTLS: Equatable, Sendable {
    public var isOn: Bool
    public var verifies: Bool
    public var authority: String?
    public var certificate: String?
    public var key: String?

    public init(
        isOn: Bool = false, verifies: Bool = false, authority: String? = nil, certificate: String? = nil,
        key: String? = nil
    ) {
        self.isOn = isOn
        self.verifies = verifies
        self.authority = authority
        self.certificate = certificate
        self.key = key
    }

    /// `nil`: no TLS is asked for, neither by options nor by `DOCKER_TLS` and `DOCKER_TLS_VERIFY`. Our own certificate
    /// and key may be missing where nobody names them; then the engine says whether it wants them.
    func options(_ environment: [String: String]) -> TLSLink.Options? {
        func isSet(_ name: String) -> Bool { !(environment[name] ?? "").isEmpty }
        let verifies = verifies || isSet("DOCKER_TLS_VERIFY")
        guard isOn || verifies || isSet("DOCKER_TLS") else { return nil }
        let standard = TLSFiles.standard(environment)
        func present(_ path: String?) -> String? { path.flatMap { FileSystem.exists($0) ? $0 : nil } }
        return TLSLink.Options(
            files: TLSFiles(
                authority: authority ?? standard.authority, certificate: certificate ?? present(standard.certificate),
                key: key ?? present(standard.key)),
            verifies: verifies)
    }
}

extension TLSFiles {
    /// Where Docker's programs look: `DOCKER_CERT_PATH`, else the folder of their settings.
    public static func standard(_ environment: [String: String]) -> TLSFiles {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        guard
            let folder = value("DOCKER_CERT_PATH") ?? value("DOCKER_CONFIG")
                ?? value("HOME").map({ "\($0)/.docker" })
        else { return TLSFiles() }
        return TLSFiles(
            authority: "\(folder)/ca.pem", certificate: "\(folder)/cert.pem", key: "\(folder)/key.pem")
    }
}
