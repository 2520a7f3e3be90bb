import CLinux
import Glibc

/// A cgroup directory of either version and what is below it: cgroups(7).
public enum CgroupTree {
    private static let depthMax = 64
    /// A cgroup stays busy for a moment after its last process was reaped.
    private static let removeAttemptsMax = 60
    private static let removePauseMicrosecondsMax: UInt32 = 20_000

    /// Writes a control file in one `write(2)`, as the kernel wants it.
    public static func write(_ path: String, _ file: String, _ value: String) throws(SystemError) {
        let full = "\(path)/\(file)"
        let descriptor = try FileDescriptor.open(full, O_WRONLY)
        let raw = descriptor.raw
        var value = value
        try check("write", path: full) {
            value.withUTF8 { Glibc.write(raw, $0.baseAddress, $0.count) }
        }
    }

    /// A control file's text without the newline at its end.
    public static func read(_ path: String, _ file: String) throws(SystemError) -> String {
        var bytes = try FileSystem.readFile("\(path)/\(file)", byteCountMax: 1 << 20)
        if bytes.last == 0x0a { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The value of `key` in a flat keyed file (`memory.events`, `cpu.stat`).
    public static func value(_ path: String, _ file: String, key: String) throws(SystemError) -> UInt64? {
        for line in try read(path, file).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == key { return UInt64(words[1]) }
        }
        return nil
    }

    /// cpusets(7): a v1 group takes no process before it has processors and memory nodes, which are its parent's.
    public static func copyParentCPUSet(_ path: String) throws(SystemError) {
        let parent = FileSystem.parent(of: path)
        for file in ["cpuset.cpus", "cpuset.mems"] where try read(path, file).isEmpty {
            try write(path, file, try read(parent, file))
        }
    }

    /// Every process of the cgroup and the ones below it.
    public static func processes(_ path: String) throws(SystemError) -> [pid_t] {
        var found: [pid_t] = []
        try collect(path, depth: 0, into: &found)
        return found
    }

    private static func collect(_ path: String, depth: Int, into found: inout [pid_t]) throws(SystemError) {
        guard depth < depthMax else { throw SystemError("cgroup", path: path, code: ELOOP) }
        found += try read(path, "cgroup.procs").split(separator: "\n").compactMap { pid_t($0) }
        for child in try children(path) { try collect(child, depth: depth + 1, into: &found) }
    }

    /// Removes the cgroup and every one below it, waiting about a second in all while they are busy.
    /// A missing cgroup is no error.
    public static func remove(_ path: String) throws(SystemError) {
        var pauseMicroseconds: UInt32 = 200
        for attempt in 1...removeAttemptsMax {
            do {
                return try removeOnce(path, depth: 0)
            } catch {
                guard error.code == EBUSY, attempt < removeAttemptsMax else { throw error }
            }
            usleep(pauseMicroseconds)
            pauseMicroseconds = min(pauseMicroseconds * 2, removePauseMicrosecondsMax)
        }
    }

    private static func removeOnce(_ path: String, depth: Int) throws(SystemError) {
        if rmdir(path) == 0 || errno == ENOENT { return }
        guard errno == EBUSY, depth < depthMax else { throw SystemError("rmdir", path: path, code: errno) }
        for child in try children(path) { try removeOnce(child, depth: depth + 1) }
        if rmdir(path) != 0, errno != ENOENT { throw SystemError("rmdir", path: path, code: errno) }
    }

    static func children(_ path: String) throws(SystemError) -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw SystemError("opendir", path: path, code: errno)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append("\(path)/\(name)") }
        }
        return names
    }
}
