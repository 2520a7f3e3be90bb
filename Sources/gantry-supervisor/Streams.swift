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
    /// How long a terminal is still read after the process's end, should someone else hold it.
    private static let drainNanosecondsMax: UInt64 = 250_000_000
    private static let clientsMax = 32
    private static let readByteCount = 32 << 10
    private static let stdinByteCountMax = 64 << 10

    private struct Source {
        let descriptor: Int32
        let stream: LogStream
        var log: LogAssembler
        /// After the process's end: what was in the pipe then, and is still to be read.
        var remaining: Int?
    }

    private var sources: [Source] = []
    private var clients: [Client] = []
    private let listener: Int32
    private let terminal: Int32
    private var stdin: Int32
    private var stdinPending: [UInt8] = []
    private var stdinCloses = false
    private var log: LogFile?
    private var stamps: LogStamps
    /// `exec` has one client, which may be as slow as it likes, and whose end is the end of the input.
    private let isExec: Bool
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readByteCount, alignment: 16)

    init(_ stdio: Stdio, listener: Int32, log: LogFile?, isExec: Bool) {
        self.listener = listener
        self.log = log
        stamps = LogStamps(after: log?.lastTime ?? 0)
        self.isExec = isExec
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
    /// `onExit` is called in between.
    func run(pidfd: Int32, onExit: () -> Void = {}) throws(SystemError) -> (code: Int32, signal: Int32) {
        try serve(alsoAwaiting: pidfd, until: { false })
        let status = try Self.reap(pidfd)
        onExit()
        limitSources()
        let deadline = Clock.monotonic() + Self.drainNanosecondsMax
        let isOver = { self.terminal >= 0 && Clock.monotonic() >= deadline && !self.clients.contains(where: \.isFull) }
        try serve(alsoAwaiting: -1, until: { self.sources.isEmpty || isOver() })
        finish()
        return status
    }

    private func serve(alsoAwaiting pidfd: Int32, until isDone: () -> Bool) throws(SystemError) {
        while !isDone() {
            var polled: [pollfd] = []
            if pidfd >= 0 { polled.append(pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)) }
            addInterests(to: &polled)
            let count = poll(&polled, nfds_t(polled.count), timeout(hasEnded: pidfd < 0))
            guard count >= 0 || errno == EINTR else { throw SystemError("poll", code: errno) }
            for entry in polled where count > 0 && entry.revents != 0 {
                // The rest of this round comes again: nothing has been taken from it.
                if entry.fd == pidfd { return }
                handle(entry)
            }
            dropClients()
        }
    }

    /// A process's output is in the pipe when the process is gone. Whoever else holds the pipe is not waited for.
    private func limitSources() {
        for index in sources.indices.reversed() where sources[index].descriptor != terminal {
            var available: Int32 = 0
            gantry_ioctl(sources[index].descriptor, UInt(FIONREAD), &available)
            sources[index].remaining = Int(available)
            if available <= 0 { endSource(index) }
        }
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
            // Without any interest a hang-up is still reported.
            polled.append(pollfd(fd: client.descriptor, events: events, revents: 0))
        }
    }

    /// Milliseconds for `poll`: until the next client may have to go; after the end, a look at the clock now and then.
    private func timeout(hasEnded: Bool) -> Int32 {
        let lookMilliseconds: Int32 = 10
        if hasEnded { return lookMilliseconds }
        guard !isExec, let since = clients.compactMap(\.stalledSince).min() else { return -1 }
        let (deadline, now) = (since + Self.stallNanosecondsMax, Clock.monotonic())
        return deadline <= now ? 0 : Int32(truncatingIfNeeded: (deadline - now) / 1_000_000 + 1)
    }

    private func handle(_ entry: pollfd) {
        if entry.fd == listener { return accept() }
        let writable = entry.revents & Int16(POLLOUT) != 0
        if let client = clients.first(where: { $0.descriptor == entry.fd }) {
            if writable { client.flush() }
            if entry.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 {
                client.receive { kind, payload in receive(kind, payload) }
                // A client that only has no more to say goes on listening; one that has hung up is gone.
                if client.inputEnded, entry.revents & Int16(POLLHUP) != 0 { client.drop() }
            }
            return
        }
        if entry.fd == stdin, entry.events == Int16(POLLOUT) { return flushStdin() }
        if let index = sources.firstIndex(where: { $0.descriptor == entry.fd }) { read(index) }
    }

    // MARK: - Output

    private func read(_ index: Int) {
        let source = sources[index]
        let count = Glibc.read(source.descriptor, buffer.baseAddress, min(buffer.count, source.remaining ?? .max))
        if count > 0 {
            deliver(UnsafeRawBufferPointer(rebasing: buffer[..<count]), from: index)
            guard let remaining = source.remaining else { return }
            sources[index].remaining = remaining - count
            if remaining <= count { endSource(index) }
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            // A terminal answers EIO once its last user has closed it.
            endSource(index)
        }
    }

    private func deliver(_ bytes: UnsafeRawBufferPointer, from index: Int) {
        if log != nil {
            var records: [UInt8] = []
            records.reserveCapacity(bytes.count + 128)
            sources[index].log.append(bytes, now: Clock.now(), &stamps, to: &records)
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
        sources[index].log.finish(now: Clock.now(), &stamps, to: &records)
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

    /// The only client has gone: no more input comes, and a terminal's programs are told by SIGHUP.
    private func hangUp() {
        if terminal >= 0 {
            guard let index = sources.firstIndex(where: { $0.descriptor == terminal }) else { return }
            endSource(index)
            close(terminal)
            stdin = -1
        } else if stdin >= 0 {
            stdinPending = []
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
            guard !isExec, let since = client.stalledSince else { return false }
            return now >= since + Self.stallNanosecondsMax
        }
        if isExec, clients.isEmpty { hangUp() }
    }
}
