import EngineWire

/// Which part of a log to show.
public struct LogSelection: Equatable, Sendable {
    public var follow: Bool
    /// Lines from the end; `nil`: all.
    public var tail: Int?
    public var timestamps: Bool
    /// Seconds since 1970 with up to nine decimals, or RFC 3339.
    public var since: String?
    public var until: String?

    public init(
        follow: Bool = false, tail: Int? = nil, timestamps: Bool = false, since: String? = nil, until: String? = nil
    ) {
        self.follow = follow
        self.tail = tail
        self.timestamps = timestamps
        self.since = since
        self.until = until
    }

    var query: [(name: String, value: String)] {
        var query = [("stdout", "1"), ("stderr", "1"), ("tail", tail.map(String.init) ?? "all")]
        if follow { query.append(("follow", "1")) }
        if timestamps { query.append(("timestamps", "1")) }
        if let since { query.append(("since", since)) }
        if let until { query.append(("until", until)) }
        return query.map { (name: $0.0, value: $0.1) }
    }
}

/// Size of a terminal in character cells.
public struct TerminalSize: Equatable, Sendable {
    public var rows: Int
    public var columns: Int

    public init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
    }

    var query: [(name: String, value: String)] { [("h", String(rows)), ("w", String(columns))] }
}

extension EngineClient {
    /// `GET /containers/{id}/logs`. `raw`: the container has a terminal.
    public func logs(_ id: String, _ selection: LogSelection, raw: Bool) throws(EngineClientError) -> OutputStream {
        let stream = try open(HTTPRequest("GET", ["containers", id, "logs"], query: selection.query))
        return OutputStream(stream, raw: raw)
    }

    /// `POST /containers/{id}/attach`; the caller waits for `receiveHead` before it starts the container.
    public func attach(_ id: String, stdin: Bool, raw: Bool) throws(EngineClientError) -> OutputStream {
        var query = [(name: "stream", value: "1"), (name: "stdout", value: "1"), (name: "stderr", value: "1")]
        if stdin { query.append((name: "stdin", value: "1")) }
        let request = HTTPRequest("POST", ["containers", id, "attach"], query: query, takesOver: true)
        return OutputStream(try open(request), raw: raw)
    }

    /// `POST /containers/{id}/start`.
    public func start(_ id: String) throws(EngineClientError) {
        try send(HTTPRequest("POST", ["containers", id, "start"]))
    }

    /// `POST /containers/{id}/wait`: opened before the start, so that no exit is missed; `exitCode(of:)` reads it.
    public func openWait(_ id: String, condition: String = "next-exit") throws(EngineClientError) -> EngineStream {
        try open(HTTPRequest("POST", ["containers", id, "wait"], query: [(name: "condition", value: condition)]))
    }

    /// The answer of `openWait`; blocks until the process has ended.
    public func exitCode(of wait: EngineStream) throws(EngineClientError) -> Int {
        try exitCode(in: wait.readAll(byteCountMax: Self.replyByteCountMax))
    }

    /// The same, of an answer that was read piece by piece: its head comes at once, the rest at the process's end.
    public func exitCode(in body: [UInt8]) throws(EngineClientError) -> Int {
        try decodeJSON(WaitReply.self, body, "the exit code").StatusCode
    }

    /// `POST /containers/{id}/kill`.
    public func kill(_ id: String, signal: String) throws(EngineClientError) {
        try send(HTTPRequest("POST", ["containers", id, "kill"], query: [(name: "signal", value: signal)]))
    }

    /// `POST /containers/{id}/resize`.
    public func resizeContainer(_ id: String, _ size: TerminalSize) throws(EngineClientError) {
        try send(HTTPRequest("POST", ["containers", id, "resize"], query: size.query))
    }

    /// `DELETE /containers/{id}`.
    public func remove(_ id: String, force: Bool, volumes: Bool) throws(EngineClientError) {
        var query: [(name: String, value: String)] = []
        if force { query.append((name: "force", value: "1")) }
        if volumes { query.append((name: "v", value: "1")) }
        try send(HTTPRequest("DELETE", ["containers", id], query: query))
    }

    /// `POST /containers/{id}/exec`.
    public func createExec(_ id: String, _ body: ExecCreateRequest) throws(EngineClientError) -> String {
        let request = HTTPRequest("POST", ["containers", id, "exec"], body: try json(body))
        return try reply(IdReply.self, request, "the new process").Id
    }

    /// `POST /exec/{id}/start`, attached.
    public func startExec(_ id: String, tty: Bool) throws(EngineClientError) -> OutputStream {
        let body = try json(ExecStartRequest(Detach: false, Tty: tty))
        return OutputStream(
            try open(HTTPRequest("POST", ["exec", id, "start"], body: body, takesOver: true)), raw: tty)
    }

    /// `POST /exec/{id}/start`, detached.
    public func startExecDetached(_ id: String, tty: Bool) throws(EngineClientError) {
        try send(HTTPRequest("POST", ["exec", id, "start"], body: json(ExecStartRequest(Detach: true, Tty: tty))))
    }

    /// `POST /exec/{id}/resize`.
    public func resizeExec(_ id: String, _ size: TerminalSize) throws(EngineClientError) {
        try send(HTTPRequest("POST", ["exec", id, "resize"], query: size.query))
    }

    /// `GET /exec/{id}/json`.
    public func inspectExec(_ id: String) throws(EngineClientError) -> ExecInspect {
        try reply(ExecInspect.self, HTTPRequest("GET", ["exec", id, "json"]), "the state of the process")
    }
}
