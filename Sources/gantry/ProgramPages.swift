import CLinux
import Glibc
import LinuxSystem

/// Gives back the memory of program code that busy times needed, the start above all.
///
/// A page of the program's file stays with the process once it was used, although the kernel could have it back at any
/// time. Code that is needed again comes from the kernel's cache of the file, with a fault that takes about a
/// microsecond: madvise(2), `MADV_DONTNEED` on a mapping of a file.
enum ProgramPages {
    private static let periodSeconds = 20
    /// Of one processor: an engine that took less in a period has nothing to do.
    private static let idleShare = 0.02

    /// Looks once in a period, for as long as the process lives.
    static func giveBackWhenIdle() async {
        var before = processorSeconds()
        var wasBusy = true
        while true {
            // Cancelled by nobody: it ends with the process.
            do { try await Task.sleep(for: .seconds(periodSeconds)) } catch { return }
            let now = processorSeconds()
            let isIdle = now - before < idleShare * Double(periodSeconds)
            before = now
            // Once after each busy time: what an idle engine uses now and then stays.
            if isIdle, wasBusy { giveBack() }
            wasBusy = !isIdle
        }
    }

    private static func processorSeconds() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_SELF, &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    private static func giveBack() {
        // Without /proc, everything stays as it is.
        guard let bytes = try? FileSystem.readFile("/proc/self/maps") else { return }
        for range in programCode(maps: String(decoding: bytes, as: UTF8.self)) {
            // SAFETY: the mapping is the program's own code: read-only pages of its file that nothing was ever written
            // to, so that the kernel has nothing to lose, and whoever runs in there waits for the page.
            madvise(UnsafeMutableRawPointer(bitPattern: range.lowerBound), range.count, MADV_DONTNEED)
        }
    }

    /// Addresses of the first file's code, which is the program: lines of proc_pid_maps(5) with `r-xp` and its name.
    static func programCode(maps: String) -> [Range<UInt>] {
        let lines = maps.split(separator: "\n").map { $0.split(separator: " ") }
        guard let program = lines.first?.dropFirst(5), !program.isEmpty else { return [] }
        return lines.compactMap { words in
            guard words.count > 5, words[1] == "r-xp", words.dropFirst(5) == program else { return nil }
            let ends = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            return ends.count == 2 && ends[0] < ends[1] ? ends[0]..<ends[1] : nil
        }
    }
}
