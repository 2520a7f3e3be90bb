import Engine
import FoundationEssentials
import StackModel

extension HTTPRequest {
    /// `filters={"label":["a=b"],"dangling":["true"]}`; Go's clients send `{"label":{"a=b":true}}`, where what is named
    /// counts, whatever is said of it.
    ///
    /// - Throws: for a malformed document: taken for none, it would let things be removed that nobody meant.
    func filters() throws(HTTPError) -> [String: [String]] {
        guard let text = queryValue("filters"), !text.isEmpty else { return [:] }
        do {
            return try JSONDecoder().decode([String: FilterValues].self, from: Data(text.utf8)).mapValues(\.values)
        } catch {
            throw HTTPError(400, "invalid filter: 'filters' must be a JSON object of lists")
        }
    }

    /// Seconds since 1970, with a fraction if need be, or a time in RFC 3339; nil when there is none.
    func moment(_ name: String) throws(HTTPError) -> Nanoseconds? {
        guard let text = queryValue(name), !text.isEmpty else { return nil }
        guard let moment = Moment(argument: text, now: .now()) else {
            throw HTTPError(400, "invalid \(name): '\(text)' is no time")
        }
        return moment.nanoseconds
    }

    /// A query parameter that is itself JSON; nil when it is absent, empty or null.
    func queryJSON<Value: Decodable>(_ type: Value.Type, _ name: String) throws(HTTPError) -> Value? {
        guard let text = queryValue(name), !text.isEmpty else { return nil }
        do {
            return try JSONDecoder().decode(Value?.self, from: Data(text.utf8))
        } catch {
            throw HTTPError(400, "invalid \(name): it is not the JSON that was expected")
        }
    }

    /// A number of bytes; nil: none was given, or 0, which is how Docker's clients say the same.
    ///
    /// - Throws: for what is no number: read as no limit, it would let things be removed that nobody meant.
    func byteCount(_ name: String) throws(HTTPError) -> UInt64? {
        guard let text = queryValue(name), !text.isEmpty else { return nil }
        guard let count = UInt64(text) else {
            throw HTTPError(400, "'\(name)' must be a number of bytes, not '\(text)'")
        }
        return count == 0 ? nil : count
    }

    func windowSize() throws(HTTPError) -> (rows: UInt16, columns: UInt16) {
        guard let rows = UInt16(exactly: try queryInteger("h") ?? 0),
            let columns = UInt16(exactly: try queryInteger("w") ?? 0)
        else { throw HTTPError(400, "h and w must be window sizes") }
        return (rows, columns)
    }
}

/// The values of one filter, in either shape.
private struct FilterValues: Decodable {
    var values: [String]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            values = try container.decode([String].self)
        } catch {
            values = try container.decode([String: Bool].self).keys.sorted()
        }
    }
}

extension LogQuery {
    init(_ request: HTTPRequest) throws(HTTPError) {
        self.init()
        follow = request.queryFlag("follow")
        standardOutput = request.queryFlag("stdout")
        standardError = request.queryFlag("stderr")
        timestamps = request.queryFlag("timestamps")
        details = request.queryFlag("details")
        // As in Docker, what is no number of lines means all of them.
        tail = request.queryValue("tail").flatMap(Int.init).flatMap { $0 < 0 ? nil : $0 }
        since = try Self.time(request, "since")
        until = try Self.time(request, "until")
    }

    /// Seconds since 1970, with a fraction if need be, as Docker's clients send it.
    private static func time(_ request: HTTPRequest, _ name: String) throws(HTTPError) -> Nanoseconds? {
        guard let text = request.queryValue(name), !text.isEmpty, text != "0" else { return nil }
        guard let seconds = Double(text), seconds.isFinite, abs(seconds) < 1e10 else {
            throw HTTPError(400, "'\(name)' must be seconds since 1970, not '\(text)'")
        }
        return Nanoseconds(seconds * 1e9)
    }
}
