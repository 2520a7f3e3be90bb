import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// One record of a container's log.
public struct LogRecord: Equatable, Sendable {
    public var stream: LogStream
    /// Nanoseconds since 1970.
    public var time: UInt64
    /// The text without its newline.
    public var bytes: [UInt8]
    public var tag: LogTag
    /// No newline followed the text.
    public var isPartial: Bool { tag != .full }

    /// `TIME STREAM F|P|E TEXT`; `nil` for anything else.
    public init?(line: ArraySlice<UInt8>) {
        let space = UInt8(ascii: " ")
        guard line.count > Timestamp.byteCount, let time = Timestamp.parse(line.prefix(Timestamp.byteCount)) else {
            return nil
        }
        let fields = line.dropFirst(Timestamp.byteCount + 1)
            .split(separator: space, maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3, fields[1].count == 1, let tag = fields[1].first.flatMap({ LogTag(rawValue: $0) })
        else { return nil }
        switch String(decoding: fields[0], as: UTF8.self) {
        case "stdout": stream = .stdout
        case "stderr": stream = .stderr
        default: return nil
        }
        self.time = time
        self.tag = tag
        bytes = Array(fields[2])
    }
}

/// Reads a container's log from some point on, across rotations, without missing or repeating a record.
///
/// A rotated file is only renamed and never written again, so the reader keeps its descriptor, finishes the file, and
/// finds the one that follows by looking where its own has moved to.
public struct LogReader: ~Copyable, Sendable {
    private static let rotatedFilesMax = 1000
    private static let readByteCount = 64 << 10
    /// Longer lines are no records of ours.
    private static let lineByteCountMax = 64 << 10

    private let path: String
    private var file: OpenFile?
    private var pending: [UInt8] = []
    /// Tells of changes in the log's folder: inotify(7).
    private let notifier: SharedDescriptor?

    private struct OpenFile: Sendable {
        let descriptor: SharedDescriptor
        let inode: ino_t
    }

    /// Starts before the last `tail` records, or, with `nil`, at the oldest one there is.
    ///
    /// - Parameter watches: for `wait`. The kernel gives a user few of these: many readers need another way.
    public init(path: String, tail: Int? = nil, watches: Bool = false) throws(SystemError) {
        // The watch comes first: what is written from here on is either read or announced.
        let notifier = watches ? try Self.watch(FileSystem.parent(of: path)) : nil
        var file: OpenFile?
        if let start = try Self.start(path, tail: tail) {
            let opened = try Self.open(start.path)
            try check("lseek", path: path) { lseek(opened.descriptor.raw, start.offset, SEEK_SET) }
            file = opened
        }
        self.path = path
        self.notifier = notifier
        self.file = file
    }

    private static func watch(_ folder: String) throws(SystemError) -> SharedDescriptor {
        let notifier = SharedDescriptor(
            FileDescriptor(
                owning: try check("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK)) }))
        try check("inotify_add_watch", path: folder) {
            inotify_add_watch(notifier.raw, folder, UInt32(IN_MODIFY | IN_CREATE | IN_MOVED_TO))
        }
        return notifier
    }

    // MARK: - Reading

    /// The records that are there now, at most about `byteCountMax` bytes of them; empty when all have been read.
    public mutating func read(byteCountMax: Int = 1 << 20) throws(SystemError) -> [LogRecord] {
        var records: [LogRecord] = []
        var byteCount = 0
        while byteCount < byteCountMax {
            if file == nil, try !openFirst() { return records }
            let chunk = try readChunk()
            byteCount += chunk.count
            if chunk.isEmpty {
                guard try advance() else { return records }
            } else {
                take(chunk, into: &records)
            }
        }
        return records
    }

    private func readChunk() throws(SystemError) -> [UInt8] {
        guard let raw = file?.descriptor.raw else { return [] }
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.readByteCount) { buffer, count in
            count = max(Glibc.read(raw, buffer.baseAddress, Self.readByteCount), -1)
            if count < 0 { (failure, count) = (errno, 0) }
        }
        if failure != 0, failure != EINTR { throw SystemError("read", path: path, code: failure) }
        return bytes
    }

    private mutating func take(_ chunk: [UInt8], into records: inout [LogRecord]) {
        var rest = chunk[...]
        while let end = rest.firstIndex(of: 0x0a) {
            let line = pending + rest[..<end]
            pending = []
            rest = rest[(end + 1)...]
            if let record = LogRecord(line: line[...]) { records.append(record) }
        }
        pending += rest
        if pending.count > Self.lineByteCountMax { pending = [] }
    }

    /// Waits for a change of the log; `false` after `milliseconds` without one. For a reader that watches.
    public func wait(milliseconds: Int32) throws(SystemError) -> Bool {
        guard let raw = notifier?.raw else { preconditionFailure("this reader does not watch its log") }
        var polled = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
        guard try check("poll", { poll(&polled, 1, milliseconds) }) > 0 else { return false }
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            while Glibc.read(raw, buffer.baseAddress, buffer.count) > 0 {}
        }
        return true
    }

    // MARK: - Files

    private static func open(_ path: String) throws(SystemError) -> OpenFile {
        let opened = try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW)
        let raw = opened.raw
        var status = stat()
        try check("fstat", path: path) { fstat(raw, &status) }
        return OpenFile(descriptor: SharedDescriptor(opened), inode: status.st_ino)
    }

    /// The log may not exist yet when its reader does.
    private mutating func openFirst() throws(SystemError) -> Bool {
        guard let oldest = Self.files(path).last else { return false }
        return try openIfThere(oldest.path)
    }

    private mutating func openIfThere(_ path: String) throws(SystemError) -> Bool {
        do {
            file = try Self.open(path)
            pending = []
            return true
        } catch {
            if error.code == ENOENT { return false }  // Rotated in this moment; the next read finds it.
            throw error
        }
    }

    /// At the end of the file: goes on to the one that follows, where the log was rotated. Whatever was written before
    /// the rotation has to be read first, hence the second read once it is seen.
    private mutating func advance() throws(SystemError) -> Bool {
        let files = Self.files(path)
        guard let newest = files.first, newest.inode != file?.inode else { return false }
        if try hasMore() { return true }
        // Our file is at `position`; the next newer one stands before it. Gone: the oldest there is follows.
        let own = file?.inode
        let position = files.firstIndex { $0.inode == own } ?? files.count
        guard position > 0 else { return false }
        return try openIfThere(files[position - 1].path)
    }

    private func hasMore() throws(SystemError) -> Bool {
        guard let raw = file?.descriptor.raw else { return false }
        var status = stat()
        try check("fstat", path: path) { fstat(raw, &status) }
        return status.st_size > (try check("lseek", path: path) { lseek(raw, 0, SEEK_CUR) })
    }

    /// The current file and its predecessors, newest first.
    private static func files(_ path: String) -> [(path: String, inode: ino_t, size: off_t)] {
        var found: [(path: String, inode: ino_t, size: off_t)] = []
        for number in 0..<rotatedFilesMax {
            let name = number == 0 ? path : "\(path).\(number)"
            var status = stat()
            guard lstat(name, &status) == 0 else {
                // Between two renames the current file is missing for a moment, the others are not.
                if number == 0 { continue }
                break
            }
            found.append((name, status.st_ino, status.st_size))
        }
        return found
    }

    // MARK: - Tail

    private static func start(_ path: String, tail: Int?) throws(SystemError) -> (path: String, offset: off_t)? {
        let files = files(path)
        guard let newest = files.first, let oldest = files.last else { return nil }
        guard let tail else { return (oldest.path, 0) }
        guard tail > 0 else { return (newest.path, newest.size) }
        var missing = tail
        for file in files {
            let opened: FileDescriptor
            do {
                opened = try FileDescriptor.open(file.path, O_RDONLY | O_NOFOLLOW)
            } catch {
                if error.code == ENOENT { continue }
                throw error
            }
            if let offset = try offset(ofLast: &missing, in: opened, size: file.size) { return (file.path, offset) }
        }
        return (oldest.path, 0)
    }

    /// Where the last `missing` lines of a file begin; `nil`, with `missing` lowered, when it has fewer.
    private static func offset(
        ofLast missing: inout Int, in file: borrowing FileDescriptor, size: off_t
    ) throws(SystemError) -> off_t? {
        let raw = file.raw
        var end = size
        while end > 0 {
            let begin = max(end - off_t(readByteCount), 0)
            var bytes = [UInt8](repeating: 0, count: Int(end - begin))
            let count = try check("pread") { pread(raw, &bytes, bytes.count, begin) }
            for index in stride(from: count - 1, through: 0, by: -1) where bytes[index] == 0x0a {
                // The newline at the very end closes the last line and begins none.
                if begin + off_t(index) + 1 == size { continue }
                missing -= 1
                if missing == 0 { return begin + off_t(index) + 1 }
            }
            end = begin
        }
        if size > 0 { missing -= 1 }
        return missing == 0 && size > 0 ? 0 : nil
    }
}
