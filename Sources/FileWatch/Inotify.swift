import CLinux
import Glibc
import LinuxSystem

/// One record of inotify(7).
struct InotifyEvent: Equatable, Sendable {
    /// -1 when the queue has overflowed.
    var watch: Int32
    var mask: UInt32
    /// What in the watched folder it is about; `nil` for the folder itself, or for a name that is no UTF-8.
    var name: String?

    func has(_ flag: Int32) -> Bool { mask & UInt32(flag) != 0 }
}

/// An inotify instance. `close(2)` ends all its watches.
struct Inotify: Sendable {
    private static let headerByteCount = 16
    private static let readByteCount = 64 << 10
    private let descriptor: SharedDescriptor

    init() throws(FileWatchError) {
        do throws(SystemError) {
            descriptor = SharedDescriptor(
                FileDescriptor(
                    owning: try check("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK)) }))
        } catch {
            throw error.code == EMFILE ? .instanceLimit : .system(error)
        }
    }

    /// For poll(2).
    var raw: Int32 { descriptor.raw }

    /// Watches a folder, for `mask` and for what it is watched for already; the same folder has the same number.
    func add(_ path: String, _ mask: Int32) throws(FileWatchError) -> Int32 {
        let raw = descriptor.raw
        do throws(SystemError) {
            return try check("inotify_add_watch", path: path) {
                inotify_add_watch(raw, path, UInt32(bitPattern: mask | Int32(IN_ONLYDIR) | Int32(IN_MASK_ADD)))
            }
        } catch {
            throw error.code == ENOSPC ? .watchLimit(path: path) : .system(error)
        }
    }

    /// A watch that is gone already is no error.
    func remove(_ watch: Int32) { _ = inotify_rm_watch(descriptor.raw, watch) }

    /// What has happened since; empty when nothing has.
    func read() throws(SystemError) -> [InotifyEvent] {
        let raw = descriptor.raw
        var buffer = [UInt8](repeating: 0, count: Self.readByteCount)
        do throws(SystemError) {
            let count = try check("read", path: "inotify") {
                buffer.withUnsafeMutableBytes { Glibc.read(raw, $0.baseAddress, $0.count) }
            }
            return Self.events(buffer[..<count])
        } catch {
            guard error.code == EAGAIN else { throw error }
            return []
        }
    }

    /// `struct inotify_event`: wd, mask, cookie and len, four bytes each, and `len` bytes of a name that ends in zeros.
    static func events(_ bytes: ArraySlice<UInt8>) -> [InotifyEvent] {
        var events: [InotifyEvent] = []
        var rest = bytes
        while rest.count >= headerByteCount {
            let fields = rest.withUnsafeBytes { header in
                stride(from: 0, to: headerByteCount, by: 4).map {
                    header.loadUnaligned(fromByteOffset: $0, as: UInt32.self)
                }
            }
            let nameByteCount = Int(fields[3])
            guard rest.count - headerByteCount >= nameByteCount else { break }
            let name = rest.dropFirst(headerByteCount).prefix(nameByteCount).prefix { $0 != 0 }
            events.append(
                InotifyEvent(
                    watch: Int32(bitPattern: fields[0]), mask: fields[1],
                    name: name.isEmpty ? nil : String(validating: name, as: UTF8.self)))
            rest = rest.dropFirst(headerByteCount + nameByteCount)
        }
        return events
    }
}
