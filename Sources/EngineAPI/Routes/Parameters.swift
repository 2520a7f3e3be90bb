import Engine
import FoundationEssentials

extension HTTPRequest {
    /// `filters={"label":["a=b"],"dangling":["true"]}`; old clients send `{"label":{"a=b":true}}`.
    func filters() throws(HTTPError) -> [String: [String]] {
        guard let text = queryValue("filters"), !text.isEmpty else { return [:] }
        let data = Data(text.utf8)
        do {
            return try JSONDecoder().decode([String: [String]].self, from: data)
        } catch {
            do {
                let old = try JSONDecoder().decode([String: [String: Bool]].self, from: data)
                return old.mapValues { $0.filter(\.value).keys.sorted() }
            } catch {
                throw HTTPError(400, "'filters' must be a JSON object of lists")
            }
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

extension LogQuery {
    init(_ request: HTTPRequest) throws(HTTPError) {
        self.init()
        follow = request.queryFlag("follow")
        standardOutput = request.queryFlag("stdout")
        standardError = request.queryFlag("stderr")
        timestamps = request.queryFlag("timestamps")
        if let tail = request.queryValue("tail"), tail != "all" {
            self.tail = try request.queryInteger("tail")
        }
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
