import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The container's log: appended to, rotated by size, never a reason to hold the container up.
struct LogFile {
    private static let mode: mode_t = 0o640

    private let plan: LogPlan
    /// Of the last record of an earlier run, nanoseconds since 1970; 0 without one.
    let lastTime: UInt64
    private var descriptor: Int32
    private var byteCount: UInt64

    init(_ plan: LogPlan) throws(SystemError) {
        self.plan = plan
        (descriptor, byteCount) = try Self.open(plan.path)
        // An empty file may just have been rotated in: then the one before has the last record.
        lastTime = Self.lastTime(byteCount > 0 ? plan.path : "\(plan.path).1")
    }

    /// Unreadable or damaged counts as without a record: times then begin with the clock's.
    private static func lastTime(_ path: String) -> UInt64 {
        // Longer than any record.
        let tailByteCount: off_t = 32 << 10
        // As above: an unreadable log has no last record.
        guard let file = try? FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW) else { return 0 }
        let end = lseek(file.raw, 0, SEEK_END)
        guard end > 0, lseek(file.raw, max(end - tailByteCount, 0), SEEK_SET) >= 0,
            let bytes = try? file.readAll(byteCountMax: Int(tailByteCount) * 2),  // Likewise.
            let line = bytes.split(separator: 0x0a).last
        else { return 0 }
        return Timestamp.parse(line.prefix(Timestamp.byteCount)) ?? 0
    }

    private static func open(_ path: String) throws(SystemError) -> (Int32, UInt64) {
        let file = try FileDescriptor.open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, mode: mode)
        let raw = file.raw
        var status = stat()
        try check("fstat", path: path) { fstat(raw, &status) }
        return (file.take(), UInt64(max(status.st_size, 0)))
    }

    /// Writes records, as many to a file as fit.
    mutating func append(_ records: [UInt8]) {
        var rest = records[...]
        while !rest.isEmpty {
            let fitting = fitting(rest)
            if fitting == 0 {
                rotate()
            } else {
                write(rest.prefix(fitting))
                rest = rest.dropFirst(fitting)
            }
        }
    }

    /// How many bytes of whole records go into the current file; one at least where it is empty.
    private func fitting(_ records: ArraySlice<UInt8>) -> Int {
        guard plan.byteCountMax > 0, byteCount + UInt64(records.count) > plan.byteCountMax else { return records.count }
        let room = plan.byteCountMax > byteCount ? Int(plan.byteCountMax - byteCount) : 0
        if let end = records.prefix(room).lastIndex(of: 0x0a) { return end + 1 - records.startIndex }
        guard byteCount == 0, let end = records.firstIndex(of: 0x0a) else { return byteCount == 0 ? records.count : 0 }
        return end + 1 - records.startIndex
    }

    /// On a full disk records are dropped, and a half-written one is cut off again.
    private mutating func write(_ records: ArraySlice<UInt8>) {
        var offset = 0
        while offset < records.count {
            let count = records.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + offset }, $0.count - offset)
            }
            if count > 0 {
                offset += count
            } else if errno != EINTR {
                if offset > 0 { ftruncate(descriptor, off_t(byteCount)) }
                return
            }
        }
        byteCount += UInt64(records.count)
    }

    /// `container.log` becomes `.1`, `.1` becomes `.2`, …; the oldest goes. Nothing is written to a renamed file, so a
    /// reader that sees a new file can finish the old one.
    private mutating func rotate() {
        for number in stride(from: Int(plan.files) - 1, to: 0, by: -1) {
            rename(number == 1 ? plan.path : "\(plan.path).\(number - 1)", "\(plan.path).\(number)")
        }
        if plan.files <= 1 { unlink(plan.path) }
        do {
            let (fresh, count) = try Self.open(plan.path)
            close(descriptor)
            (descriptor, byteCount) = (fresh, count)
        } catch {
            // No new file to be had: what follows still goes into the old one, whatever it is called now.
            byteCount = 0
        }
    }
}
