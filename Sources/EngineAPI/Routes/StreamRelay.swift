import Engine

/// Which streams a client wants.
struct StreamChoice: Sendable {
    var output = true
    var errors = true
    var input = true

    func takes(_ kind: StreamFrame.Kind) -> Bool {
        switch kind {
        case .standardOutput: output
        case .standardError: errors
        default: false
        }
    }
}

/// A session between a container, or a command in one, and a client's connection: copies both ways until the
/// container's side ends. Output goes on when the client has closed its input, and input stops with the output.
struct StreamRelay: Sendable {
    enum End: Equatable, Sendable {
        /// With the exit status, when the session told one.
        case ended(Int?)
        /// By the keys that take the client off.
        case detached
    }

    let session: AttachSession
    var wanted = StreamChoice()
    /// Output comes without frames.
    var isRaw: Bool
    /// The end of the client's input is the end of the other side's.
    var endsInput = true
    var keys: DetachKeys?

    /// - Parameter output: what the client reads in place of the session's output.
    func run(_ connection: HijackedConnection, output: LogStreaming? = nil) async -> End {
        await withTaskGroup(of: End?.self, returning: End.self) { group in
            group.addTask {
                let isDetached = await copyInput(connection)
                if isDetached { return .detached }
                if endsInput { await session.send(StreamFrame(kind: .closeInput, payload: [])) }
                while !Task.isCancelled {
                    // Ends by being cancelled: with the client, the output, or the server.
                    try? await Task.sleep(for: .seconds(3600))
                }
                session.close()
                return nil
            }
            group.addTask {
                if let output { return await copy(output, connection) }
                return .ended(await copyOutput(connection))
            }
            var end = End.ended(nil)
            for await finished in group {
                guard let finished else { continue }
                end = finished
                session.close()
                group.cancelAll()
                break
            }
            return end
        }
    }

    /// A command in a container: it goes on without its client, and is listened to until it ends. Returns when it has,
    /// or when the client has typed the keys that take it off.
    func runCommand(
        _ connection: HijackedConnection, inBackground: (@escaping @Sendable () async -> Void) -> Void,
        ended: @escaping @Sendable (Int?) async -> Void
    ) async {
        let (news, end) = AsyncStream.makeStream(of: Never.self)
        inBackground {
            let code = await copyOutput(connection)
            session.close()
            // Before the stream ends: clients ask for the exit code as soon as it has.
            await ended(code)
            end.finish()
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                if await copyInput(connection) { return end.finish() }
                if endsInput { await session.send(StreamFrame(kind: .closeInput, payload: [])) }
            }
            for await _ in news {}
            group.cancelAll()
        }
    }

    /// Whether the client has typed the keys that take it off.
    private func copyInput(_ connection: HijackedConnection) async -> Bool {
        var scanner = keys.map { DetachScanner($0) }
        do {
            while let bytes = try await connection.read() {
                guard wanted.input, !bytes.isEmpty else { continue }
                let (passed, isDetached) = scanner?.scan(bytes) ?? (bytes, false)
                if !passed.isEmpty {
                    guard await session.sendInput(passed) else { return false }
                }
                if isDetached { return true }
            }
        } catch {
            return false  // The client has gone: for the container that is the end of its input.
        }
        return false
    }

    private func copyOutput(_ connection: HijackedConnection) async -> Int? {
        while let frame = await session.read() {
            if let code = frame.exitCode { return code }
            guard wanted.takes(frame.kind) else { continue }
            do {
                try await connection.write(isRaw ? frame.payload : frame.bytes)
            } catch {
                // A client that has gone does not end the process; what it still says is thrown away.
                return await session.drain()
            }
        }
        return nil
    }

    private func copy(_ logs: LogStreaming, _ connection: HijackedConnection) async -> End {
        do {
            while let piece = try await logs.next() { try await connection.write(piece) }
        } catch {
            return .ended(nil)  // The client has gone.
        }
        return .ended(nil)
    }
}

extension AttachSession {
    /// Reads to the end for nobody.
    func drain() async -> Int? {
        while let frame = await read() {
            if let code = frame.exitCode { return code }
        }
        return nil
    }
}

/// The keys that take a client off a container with a terminal: `ctrl-p,ctrl-q`, or single characters.
struct DetachKeys: Equatable, Sendable {
    let bytes: [UInt8]

    init(_ text: String) throws(HTTPError) {
        guard !text.isEmpty else {
            bytes = [0x10, 0x11]
            return
        }
        var bytes: [UInt8] = []
        for key in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
            let letter = key.hasPrefix("ctrl-") ? key.dropFirst("ctrl-".count) : key[...]
            guard let byte = letter.utf8.first, letter.utf8.count == 1 else {
                throw HTTPError(400, "Invalid detach keys (\(text)) provided")
            }
            guard key.hasPrefix("ctrl-") else {
                bytes.append(byte)
                continue
            }
            // a to z, and @ [ \ ] ^ _: the lower five bits.
            guard (0x61...0x7a).contains(byte) || (0x5b...0x5f).contains(byte) || byte == 0x40 else {
                throw HTTPError(400, "Invalid detach keys (\(text)) provided")
            }
            bytes.append(byte & 0x1f)
        }
        self.bytes = bytes
    }
}

/// Finds the keys in what a client types; what may become them is held back until it is clear that it does not.
struct DetachScanner: Sendable {
    private let keys: [UInt8]
    private var matched = 0

    init(_ keys: DetachKeys) { self.keys = keys.bytes }

    /// What is to be passed on, and whether the keys were complete.
    mutating func scan(_ bytes: [UInt8]) -> (passed: [UInt8], isDetached: Bool) {
        var passed: [UInt8] = []
        for byte in bytes {
            if byte == keys[matched] {
                matched += 1
                if matched == keys.count { return (passed, true) }
                continue
            }
            passed += keys[..<matched]
            matched = byte == keys[0] ? 1 : 0
            if matched == 0 { passed.append(byte) }
        }
        return (passed, false)
    }
}
