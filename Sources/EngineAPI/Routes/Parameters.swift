import Engine

extension HTTPRequest {
    /// A query parameter that is there and not `0` or `false`.
    func flag(_ name: String) -> Bool {
        guard let value = query[name]?.last else { return false }
        return value != "0" && value.lowercased() != "false"
    }

    func integer(_ name: String) throws(EngineError) -> Int? {
        guard let text = query[name]?.last, !text.isEmpty else { return nil }
        guard let value = Int(text) else { throw .badRequest("'\(name)' must be a number, not '\(text)'") }
        return value
    }

    func windowSize() throws(EngineError) -> (rows: UInt16, columns: UInt16) {
        guard let rows = UInt16(exactly: try integer("h") ?? 0), let columns = UInt16(exactly: try integer("w") ?? 0)
        else { throw .badRequest("h and w must be window sizes") }
        return (rows, columns)
    }
}

extension LogQuery {
    init(_ request: HTTPRequest) throws(EngineError) {
        self.init()
        follow = request.flag("follow")
        standardOutput = request.flag("stdout")
        standardError = request.flag("stderr")
        timestamps = request.flag("timestamps")
        if let tail = request.query["tail"]?.last, tail != "all" { self.tail = try request.integer("tail") }
        since = try Self.time(request, "since")
        until = try Self.time(request, "until")
    }

    /// Seconds since 1970, with a fraction if need be, as Docker's clients send it.
    private static func time(_ request: HTTPRequest, _ name: String) throws(EngineError) -> Nanoseconds? {
        guard let text = request.query[name]?.last, !text.isEmpty, text != "0" else { return nil }
        guard let seconds = Double(text), seconds.isFinite, abs(seconds) < 1e10 else {
            throw .badRequest("'\(name)' must be seconds since 1970, not '\(text)'")
        }
        return Nanoseconds(seconds * 1e9)
    }
}
