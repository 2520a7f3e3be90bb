import NIOCore
import NIOSSL

/// The server's side: it has a certificate, and takes clients that show one of its authority.
public struct TLSServer: Sendable {
    private let context: NIOSSLContext
    /// What the certificate is made for: DNS names, in lower case.
    public let names: [String]

    /// TLS 1.2 or newer. Every client has to show a certificate that the authority signed.
    public init(_ files: TLSFiles) throws(TLSError) {
        guard let authority = try files.readAuthority(), let chain = try files.readCertificate(),
            let key = try files.readKey()
        else { throw .unusableIdentity("authority, certificate and key are all needed") }
        var configuration = TLSConfiguration.makeServerConfigurationWithMTLS(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key),
            trustRoots: .certificates(authority))
        configuration.minimumTLSVersion = .tlsv12
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .unusableIdentity("\(error)")
        }
        names = chain.first.map(Self.names) ?? []
    }

    /// A channel's first handler.
    public func makeHandler() -> any ChannelHandler { NIOSSLServerHandler(context: context) }

    /// Why a client has got no connection; `nil` for one that has just gone.
    public static func refusal(_ error: any Error) -> String? {
        if let error = error as? NIOSSLError, error == .uncleanShutdown { return nil }
        let text = "\(error)"
        if text.contains("PEER_DID_NOT_RETURN_A_CERTIFICATE") { return "it shows no certificate" }
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return "its certificate is expired, or not signed by the authority that is trusted"
        }
        if text.contains("HTTP_REQUEST") || text.contains("WRONG_VERSION_NUMBER") { return "it speaks no TLS" }
        if text.contains("EOF during handshake") { return nil }
        guard error is NIOSSLError || error is BoringSSLError else { return nil }
        return text
    }

    private static func names(_ certificate: NIOSSLCertificate) -> [String] {
        certificate._subjectAlternativeNames().compactMap { name in
            guard name.nameType == .dnsName else { return nil }
            return String(decoding: name.contents, as: UTF8.self).lowercased()
        }
    }
}
