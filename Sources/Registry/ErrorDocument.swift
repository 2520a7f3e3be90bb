import FoundationEssentials

/// The body of a registry's error (distribution-spec, "Error Codes").
enum ErrorDocument {
    private struct Document: Decodable {
        struct Entry: Decodable {
            var code: String?
            var message: String?
        }
        var errors: [Entry]?
        /// OAuth2 (RFC 6749 section 5.2) and some token servers.
        var details: String?
        var message: String?
        var errorDescription: String?

        enum CodingKeys: String, CodingKey {
            case errors, details, message
            case errorDescription = "error_description"
        }
    }

    private static let detailCountMax = 5

    /// What the server says, harmless; empty when it is in no form that we know.
    static func details(_ body: [UInt8]) -> [RegistryErrorDetail] {
        guard !body.isEmpty else { return [] }
        let document: Document
        do {
            document = try JSONDecoder().decode(Document.self, from: Data(body))
        } catch {
            // A proxy's page; the status says enough.
            return []
        }
        let entries = (document.errors ?? []).prefix(detailCountMax).map {
            RegistryErrorDetail(code: harmless($0.code ?? ""), message: harmless($0.message ?? ""))
        }
        if !entries.isEmpty { return Array(entries) }
        guard let text = document.details ?? document.errorDescription ?? document.message else { return [] }
        return [RegistryErrorDetail(code: "", message: harmless(text))]
    }

    /// What a status means when the request was for `what`.
    static func error(_ response: HTTPResponse, host: String, what: String, retry: RetryPolicy) -> RegistryError {
        let details = details(response.body)
        let message = details.map { $0.message.isEmpty ? $0.code : $0.message }.first ?? ""
        switch response.status {
        case 401: return .unauthorized(host: host, message: message)
        case 403: return .denied(host: host, message: message)
        case 404:
            let code = details.first?.code.lowercased().split(separator: "_").joined(separator: " ") ?? ""
            return .notFound(what: code.isEmpty ? "not found" : code, message: what)
        case 429:
            return .tooManyRequests(host: host, message: message, retryAfterSeconds: retryAfter(response.headers))
        default: return .status(host: host, code: response.status, details: details)
        }
    }

    /// Seconds of a Retry-After (RFC 9110 section 10.2.3); dates are not understood and count as none.
    static func retryAfter(_ headers: HTTPHeaders) -> Int? {
        headers["retry-after"].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }
    }
}

extension RetryPolicy {
    /// Milliseconds to wait after a failure.
    func delay(after error: RegistryError, attempt: Int, _ clock: RegistryClock) -> Int64 {
        let own = delayMilliseconds(attempt: attempt, random: clock.random())
        guard case .tooManyRequests(_, _, let seconds?) = error else { return own }
        return max(own, Int64(min(seconds, retryAfterSecondsMax)) * 1000)
    }

    /// Whether waiting is worth it.
    func allowsRetry(after error: RegistryError) -> Bool {
        if case .tooManyRequests(_, _, let seconds?) = error { return seconds <= retryAfterSecondsMax }
        return error.isTransient
    }
}
