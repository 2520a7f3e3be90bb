import EngineWire
import FoundationEssentials
import StackModel

extension HTTPReply {
    /// `value` as JSON; keys are sorted, so that equal answers are equal bytes.
    public static func json(
        _ value: some Encodable, status: Int = 200, headers: HTTPHeaders = [:]
    ) throws -> HTTPReply {
        var headers = headers
        headers.set("Content-Type", "application/json")
        return .full(status: status, headers: headers, body: try encodeJSON(value) + [UInt8(ascii: "\n")])
    }

    /// `{"message": …}` for any error: the failure's own answer, or 500.
    static func failure(_ error: any Error) -> HTTPReply {
        let (status, reply) = describe(error)
        do {
            return try .json(reply, status: status)
        } catch {
            return .text(
                "{\"message\":\"internal error\"}\n", status: 500, headers: ["Content-Type": "application/json"])
        }
    }

    private static func describe(_ error: any Error) -> (status: Int, reply: ErrorReply) {
        switch error {
        case let failure as any HTTPFailure: (failure.status, failure.reply)
        case let diagnostic as Diagnostic:
            (500, ErrorReply(message: diagnostic.message, diagnostics: [diagnostic]))
        case is CancellationError: (503, ErrorReply(message: "the request was cancelled: the engine is stopping"))
        default: (500, ErrorReply(message: "\(error)"))
        }
    }
}

extension HTTPRequest {
    /// The body as JSON of this type; 400 with what is wrong and where when it is not.
    public func decode<Value: Decodable>(_ type: Value.Type, byteCountMax: Int = 16 << 20) async throws -> Value {
        guard let value = try await decodeIfPresent(type, byteCountMax: byteCountMax) else {
            throw HTTPError(400, "invalid request body: it is empty")
        }
        return value
    }

    /// As `decode`; `nil` for a body without a byte, which some clients send for "no options".
    public func decodeIfPresent<Value: Decodable>(
        _ type: Value.Type, byteCountMax: Int = 16 << 20
    ) async throws -> Value? {
        let bytes = try await body.collect(byteCountMax: byteCountMax)
        return bytes.isEmpty ? nil : try decodeRequest(type, bytes)
    }
}

/// 400 with what is wrong and where when the bytes are no JSON of this type.
func decodeRequest<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
    do {
        return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
        throw HTTPError(400, "invalid request body: \(describe(error))")
    }
}

extension BodyWriter {
    /// `value` as one line of JSON, which ends with `\r\n` where Docker's progress does.
    public func writeLine(_ value: some Encodable, isProgress: Bool = false) async throws {
        try await write(try encodeJSON(value) + (isProgress ? [0x0D, 0x0A] : [0x0A]))
    }
}

private func encodeJSON(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value))
}

private func describe(_ error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, let context): "\(place(context.codingPath + [key])) is missing"
    case .valueNotFound(_, let context): "\(place(context.codingPath)) must not be null"
    case .typeMismatch(let type, let context): "\(place(context.codingPath)) is not of type \(type)"
    case .dataCorrupted(let context) where context.codingPath.isEmpty: "malformed JSON"
    case .dataCorrupted(let context): "\(place(context.codingPath)): \(context.debugDescription)"
    @unknown default: "\(error)"
    }
}

/// `Mounts[0].Source`.
private func place(_ path: [any CodingKey]) -> String {
    var text = ""
    for key in path {
        if let index = key.intValue {
            text += "[\(index)]"
        } else {
            text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
        }
    }
    return text.isEmpty ? "the document" : text
}
