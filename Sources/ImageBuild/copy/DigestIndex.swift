import CLinux
import Glibc
import Images
import LinuxSystem
import Synchronization

/// What the files of a context were when they were last hashed, so that one that did not change since is not read
/// again. Kept in a file of the engine's own (mode 0600, in a folder that nobody else may write to); one that is
/// damaged, foreign or somebody else's is as good as none.
///
/// A file is known by device, inode, size, modification and change time and mode. As in git's index, one that was
/// hashed within two seconds of its last change is not trusted: it may change again within the same tick of the clock.
public final class DigestIndex: Sendable {
    /// Of one record: six numbers, the day of the last use, a SHA-256.
    private static let recordByteCount = 8 * 7 + Fingerprint.byteCount
    private static let magic = Array("gantry digest index 1\n".utf8)
    private static let recordCountMax = 1_000_000
    private static let racyNanoseconds: Int64 = 2_000_000_000
    private static let nanosecondsADay: Int64 = 86_400_000_000_000
    /// Files that no build asked for in so many days are forgotten.
    private static let daysMax: Int64 = 30

    private struct Known {
        var fingerprint: Fingerprint
        var day: Int64
    }

    private struct State {
        var known: [FileStamp: Known] = [:]
        var isChanged = false
    }

    private let path: String
    private let recordCountMax: Int
    private let state: Mutex<State>
    /// Nanoseconds since 1970.
    private let now: @Sendable () -> Int64

    /// Loads what `path` holds.
    public convenience init(path: String) {
        self.init(path: path) {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return FileStamp.nanoseconds(time)
        }
    }

    init(path: String, recordCountMax: Int = recordCountMax, now: @escaping @Sendable () -> Int64) {
        self.path = path
        self.recordCountMax = recordCountMax
        self.now = now
        state = Mutex(State(known: Self.load(path)))
    }

    /// How many files are known.
    public var count: Int { state.withLock { $0.known.count } }

    func fingerprint(of stamp: FileStamp) -> Fingerprint? {
        let today = now() / Self.nanosecondsADay
        return state.withLock { state in
            guard let known = state.known[stamp] else { return nil }
            if known.day != today { state.known[stamp]?.day = today }
            return known.fingerprint
        }
    }

    func record(_ fingerprint: Fingerprint, of stamp: FileStamp) {
        let now = now()
        // Also when the clock was set back since: nothing is known of a time that is yet to come.
        guard now &- max(stamp.changed, stamp.modified) >= Self.racyNanoseconds else { return }
        state.withLock { state in
            // Also of one that is full: `save` makes room.
            state.isChanged = true
            guard state.known.count < recordCountMax else { return }
            state.known[stamp] = Known(fingerprint: fingerprint, day: now / Self.nanosecondsADay)
        }
    }

    /// Writes the file anew if there is something to add.
    public func save() throws(BuildError) {
        let oldest = now() / Self.nanosecondsADay - Self.daysMax
        let bytes: [UInt8]? = state.withLock { state in
            guard state.isChanged else { return nil }
            state.isChanged = false
            state.known = Self.current(state.known.filter { $0.value.day >= oldest })
            return Self.encode(state.known)
        }
        guard let bytes else { return }
        try building { () throws(SystemError) in try FileSystem.replaceFile(path, with: bytes, mode: 0o600) }
    }

    /// Of what is known of one file, under several stamps, the youngest.
    private static func current(_ known: [FileStamp: Known]) -> [FileStamp: Known] {
        var youngest: [FileStamp: FileStamp] = [:]
        for stamp in known.keys {
            let file = FileStamp(
                device: stamp.device, number: stamp.number, byteCount: 0, modified: 0, changed: 0, mode: 0)
            if let other = youngest[file], other.changed > stamp.changed { continue }
            youngest[file] = stamp
        }
        let kept = Set(youngest.values)
        return known.filter { kept.contains($0.key) }
    }

    // MARK: - The file

    /// Magic, records, and the SHA-256 of both.
    private static func encode(_ known: [FileStamp: Known]) -> [UInt8] {
        var bytes = magic
        bytes.reserveCapacity(magic.count + known.count * recordByteCount + Fingerprint.byteCount)
        func add(_ number: some FixedWidthInteger) {
            withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
        }
        for (stamp, value) in known {
            add(stamp.device)
            add(stamp.number)
            add(stamp.byteCount)
            add(stamp.modified)
            add(stamp.changed)
            add(UInt64(stamp.mode))
            add(value.day)
            bytes += value.fingerprint.bytes
        }
        return bytes + checksum(bytes[...])
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let hasher = Hasher256()
        bytes.withUnsafeBytes { hasher.update($0) }
        return hasher.finishBytes()
    }

    private static func load(_ path: String) -> [FileStamp: Known] {
        do throws(SystemError) {
            return decode(try content(path))
        } catch {
            // Whatever the reason is: files are hashed anew.
            return [:]
        }
    }

    private static func content(_ path: String) throws(SystemError) -> [UInt8] {
        let file = try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        var status = stat()
        let raw = file.raw
        try check("fstat") { fstat(raw, &status) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
            throw SystemError("open", path: path, code: EPERM)
        }
        return try file.readAll(byteCountMax: magic.count + (recordCountMax + 1) * recordByteCount)
    }

    private static func decode(_ bytes: [UInt8]) -> [FileStamp: Known] {
        let end = bytes.count - Fingerprint.byteCount
        guard end >= magic.count, bytes.starts(with: magic), (end - magic.count) % recordByteCount == 0,
            checksum(bytes[..<end]).elementsEqual(bytes[end...])
        else { return [:] }
        var known: [FileStamp: Known] = [:]
        known.reserveCapacity((end - magic.count) / recordByteCount)
        bytes.withUnsafeBytes { buffer in
            for start in stride(from: magic.count, to: end, by: recordByteCount) {
                func number(_ index: Int) -> UInt64 {
                    UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: start + index * 8, as: UInt64.self))
                }
                let stamp = FileStamp(
                    device: number(0), number: number(1), byteCount: Int64(bitPattern: number(2)),
                    modified: Int64(bitPattern: number(3)), changed: Int64(bitPattern: number(4)),
                    mode: UInt32(truncatingIfNeeded: number(5)))
                let place = start + recordByteCount - Fingerprint.byteCount
                let fingerprint = Fingerprint(bytes: Array(buffer[place..<place + Fingerprint.byteCount]))
                known[stamp] = Known(fingerprint: fingerprint, day: Int64(bitPattern: number(6)))
            }
        }
        return known
    }
}
