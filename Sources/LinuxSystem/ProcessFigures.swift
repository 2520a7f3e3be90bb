import CLinux
import Glibc

/// What this process takes: proc_pid_statm(5), getrusage(2). What cannot be found out is 0.
public struct ProcessFigures: Sendable {
    public var residentByteCount: UInt64 = 0
    public var virtualByteCount: UInt64 = 0
    public var cpuNanoseconds: UInt64 = 0
    public var threadCount: UInt64 = 0
    public var descriptorCount = 0
    public var descriptorCountMax: UInt64 = 0

    public init() {
        let pageByteCount = UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
        let sizes = Self.words("/proc/self/statm")
        if sizes.count >= 2 {
            virtualByteCount = (UInt64(sizes[0]) ?? 0) &* pageByteCount
            residentByteCount = (UInt64(sizes[1]) ?? 0) &* pageByteCount
        }
        // `num_threads` is the twentieth; the second may hold anything, in brackets.
        let fields = Self.words("/proc/self/stat", after: ")")
        if fields.count >= 18 { threadCount = UInt64(fields[17]) ?? 0 }
        var usage = rusage()
        if getrusage(RUSAGE_SELF, &usage) == 0 {
            let seconds = UInt64(clamping: usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            let microseconds = UInt64(clamping: usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
            cpuNanoseconds = seconds &* 1_000_000_000 &+ microseconds &* 1_000
        }
        // The one that is open for reading the folder is not counted.
        descriptorCount = ((try? FileSystem.list("/proc/self/fd").count) ?? 1) - 1
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            descriptorCountMax = UInt64(limit.rlim_cur)
        }
    }

    private static func words(_ path: String, after mark: Character? = nil) -> [Substring] {
        // Without /proc it is 0, as said.
        guard let bytes = try? FileSystem.readFile(path) else { return [] }
        let text = String(decoding: bytes, as: UTF8.self)
        let start = mark.flatMap { text.lastIndex(of: $0) }.map { text.index(after: $0) } ?? text.startIndex
        return text[start...].split { $0 == " " || $0 == "\n" }
    }
}
