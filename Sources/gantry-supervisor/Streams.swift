import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The container's standard streams between its pipes or terminal, the log and the attached clients, and the wait for
/// its end: one `poll(2)` loop.
final class Streams {
    /// A client that takes less than half its buffer in this time is dropped, so that it never holds the container up
    /// for longer.
    static let stallNanosecondsMax: UInt64 = 1_000_000_000
    /// How long output is still collected after the init's end, should someone else hold the pipe.
    private static let drainNanosecondsMax: UInt64 = 1_000_000_000
    private static let clientsMax = 32
    private static let readByteCount = 32 << 10
    private static let stdinByteCountMax = 64 << 10

    private struct Source {
        let descriptor: Int32
        let stream: LogStream
        var log: LogAssembler
    }

    private var sources: [Source] = []
    private var clients: [Client] = []
    private let listener: Int32
    private let terminal: Int32
    private var stdin: Int32
    private var stdinPending: [UInt8] = []
    private var stdinCloses = false
    private var log: LogFile?
    /// `exec` has one client, which may be as slow as it likes.
    private let dropsSlowClients: Bool
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readByteCount, alignment: 16)

    init(_ stdio: Stdio, listener: Int32, log: LogFile?, dropsSlowClients: Bool) {
        self.listener = listener
        self.log = log
        self.dropsSlowClients = dropsSlowClients
        terminal = stdio.terminal
        stdin = stdio.terminal >= 0 ? stdio.terminal : stdio.stdin
        if stdio.terminal >= 0 {
            sources = [Source(descriptor: stdio.terminal, stream: .stdout, log: LogAssembler(.stdout))]
        } else {
            sources = [
                Source(descriptor: stdio.stdout, stream: .stdout, log: LogAssembler(.stdout)),
                Source(descriptor: stdio.stderr, stream: .stderr, log: LogAssembler(.stderr)),
            ]
        }
    }

    func add(client descriptor: Int32) {
        guard clients.count < Self.clientsMax else {
            close(descriptor)
            return
        }
        do {
            clients.append(try Client(descriptor))
        } catch {
            close(descriptor)
        }
    }

    // MARK: - Loop

    /// Serves the streams until the process behind `pidfd` has ended and its output is read; answers how it ended.
    func run(pidfd: Int32) throws(SystemError) -> (code: Int32, signal: Int32) {
        var status: (code: Int32, signal: Int32)?
        var deadline: UInt64?
        while true {
            if status != nil, sources.isEmpty { break }
            if let deadline, Clock.monotonic() >= deadline { break }
            var polled: [pollfd] = []
            if status == nil { polled.append(pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)) }
            addInterests(to: &polled)
            let count = poll(&polled, nfds_t(polled.count), timeout(deadline))
            guard count >= 0 || errno == EINTR else { throw SystemError("poll", code: errno) }
            for entry in polled where count > 0 && entry.revents != 0 {
                if entry.fd == pidfd {
                    status = try Self.reap(pidfd)
                    deadline = Clock.monotonic() + Self.drainNanosecondsMax
                } else {
                    handle(entry)
                }
            }
            dropClients()
        }
        guard let status else { throw SystemError("poll", code: EINVAL) }
        finish()
        return status
    }

    /// The last frame for everyone, then the end of every connection.
    func end(code: Int32) {
        for client in clients { client.sendExit(code: code) }
        let deadline = Clock.monotonic() + Self.stallNanosecondsMax
        while clients.contains(where: { $0.bufferedByteCount > 0 && !$0.hasFailed }), Clock.monotonic() < deadline {
            var polled = clients.map { pollfd(fd: $0.descriptor, events: Int16(POLLOUT), revents: 0) }
            poll(&polled, nfds_t(polled.count), 10)
            for client in clients { client.flush() }
        }
        clients = []
    }

    private static func reap(_ pidfd: Int32) throws(SystemError) -> (code: Int32, signal: Int32) {
        var info = siginfo_t()
        try check("waitid") { gantry_waitid_pidfd(pidfd, &info, WEXITED) }
        let status = gantry_siginfo_status(&info)
        return gantry_siginfo_code(&info) == Int32(CLD_EXITED) ? (status, 0) : (128 + status, status)
    }

    private func addInterests(to polled: inout [pollfd]) {
        let readable = Int16(POLLIN)
        if listener >= 0 { polled.append(pollfd(fd: listener, events: readable, revents: 0)) }
        if !clients.contains(where: \.isFull) {
            for source in sources { polled.append(pollfd(fd: source.descriptor, events: readable, revents: 0)) }
        }
        if stdin >= 0, !stdinPending.isEmpty { polled.append(pollfd(fd: stdin, events: Int16(POLLOUT), revents: 0)) }
        let takesInput = stdinPending.count < Self.stdinByteCountMax
        for client in clients {
            var events: Int16 = client.bufferedByteCount > 0 ? Int16(POLLOUT) : 0
            if takesInput, !client.inputEnded { events |= readable }
            // Without any interest a hang-up would still be reported, again and again.
            if events != 0 || !client.inputEnded {
                polled.append(pollfd(fd: client.descriptor, events: events, revents: 0))
            }
        }
    }

    /// Milliseconds for `poll`.
    private func timeout(_ deadline: UInt64?) -> Int32 {
        var nearest = deadline
        for client in clients {
            guard dropsSlowClients, let since = client.stalledSince else { continue }
            nearest = min(nearest ?? .max, since + Self.stallNanosecondsMax)
        }
        guard let nearest else { return -1 }
        let now = Clock.monotonic()
        return nearest <= now ? 0 : Int32(truncatingIfNeeded: (nearest - now) / 1_000_000 + 1)
    }

    private func handle(_ entry: pollfd) {
        if entry.fd == listener { return accept() }
        let writable = entry.revents & Int16(POLLOUT) != 0
        if let client = clients.first(where: { $0.descriptor == entry.fd }) {
            if writable { client.flush() }
            if entry.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 {
                client.receive { kind, payload in receive(kind, payload) }
            }
            return
        }
        if entry.fd == stdin, entry.events == Int16(POLLOUT) { return flushStdin() }
        if let index = sources.firstIndex(where: { $0.descriptor == entry.fd }) { read(index) }
    }

    // MARK: - Output

    private func read(_ index: Int) {
        let source = sources[index]
        let count = Glibc.read(source.descriptor, buffer.baseAddress, buffer.count)
        if count > 0 {
            deliver(UnsafeRawBufferPointer(rebasing: buffer[..<count]), from: index)
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            // A terminal answers EIO once its last user has closed it.
            endSource(index)
        }
    }

    private func deliver(_ bytes: UnsafeRawBufferPointer, from index: Int) {
        if log != nil {
            var records: [UInt8] = []
            records.reserveCapacity(bytes.count + 128)
            sources[index].log.append(bytes, time: Timestamp.text(nanoseconds: Clock.now()), to: &records)
            if !records.isEmpty { log?.append(records) }
        }
        let kind: FrameKind = sources[index].stream == .stdout ? .stdout : .stderr
        for client in clients { client.send(kind, bytes) }
    }

    private func endSource(_ index: Int) {
        finishLog(index)
        let source = sources.remove(at: index)
        if source.descriptor != terminal { close(source.descriptor) }
    }

    private func finishLog(_ index: Int) {
        var records: [UInt8] = []
        sources[index].log.finish(time: Timestamp.text(nanoseconds: Clock.now()), to: &records)
        if !records.isEmpty { log?.append(records) }
    }

    private func finish() {
        for index in sources.indices { finishLog(index) }
    }

    // MARK: - Input

    private func accept() {
        let descriptor = gantry_unix_accept(listener)
        if descriptor >= 0 { add(client: descriptor) }
    }

    private func receive(_ kind: FrameKind, _ payload: [UInt8]) {
        switch kind {
        case .stdin:
            guard stdin >= 0, !stdinCloses else { return }
            stdinPending += payload
            flushStdin()
        case .closeStdin:
            guard terminal < 0 else { return }
            stdinCloses = true
            flushStdin()
        case .resize:
            guard terminal >= 0, payload.count == 4 else { return }
            gantry_pty_resize(
                terminal, UInt16(payload[0]) << 8 | UInt16(payload[1]), UInt16(payload[2]) << 8 | UInt16(payload[3]))
        case .stdout, .stderr, .exit: return
        }
    }

    private func flushStdin() {
        var offset = 0
        while offset < stdinPending.count {
            let count = stdinPending.withUnsafeBytes {
                write(stdin, $0.baseAddress.map { $0 + offset }, $0.count - offset)
            }
            if count >= 0 {
                offset += count
            } else if errno == EAGAIN {
                break
            } else if errno != EINTR {
                // Nobody reads any more: what follows is dropped.
                offset = stdinPending.count
                stdinCloses = true
            }
        }
        stdinPending.removeFirst(offset)
        if stdinCloses, stdinPending.isEmpty, stdin >= 0, terminal < 0 {
            close(stdin)
            stdin = -1
        }
    }

    private func dropClients() {
        let now = Clock.monotonic()
        for client in clients {
            if client.bufferedByteCount < Client.outputByteCountMax / 2 {
                client.stalledSince = nil
            } else if client.isFull, client.stalledSince == nil {
                client.stalledSince = now
            }
        }
        clients.removeAll { client in
            if client.hasFailed { return true }
            guard dropsSlowClients, let since = client.stalledSince else { return false }
            return now >= since + Self.stallNanosecondsMax
        }
    }
}
