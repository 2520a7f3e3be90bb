import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// What child and supervisor say to each other during the set-up: reports one way, and, where the child waits at a
/// `SetupPoint`, one byte the other way once the supervisor has done its part.
struct Handshake {
    private static let reportByteCountMax = 1 << 20

    /// Read end of the child's reports; closed by `serve`.
    let report: Int32
    /// Write end of the child's release pipe, or -1; closed by `serve`.
    let release: Int32

    /// In the child: waits until the supervisor has done what this point asks of it. A supervisor that failed, or is
    /// gone, ends the child: it has reported the failure itself.
    static func wait(at point: SetupPoint, _ descriptors: ChildDescriptors) {
        Report.send(.reached(point), to: descriptors.report)
        awaitRelease(descriptors)
    }

    /// In the child: the same where the supervisor knows by itself what to do.
    static func awaitRelease(_ descriptors: ChildDescriptors) {
        var byte: UInt8 = 0
        while true {
            let count = read(descriptors.release, &byte, 1)
            if count == 1 { return }
            if count == 0 || errno != EINTR { _exit(1) }
        }
    }

    /// In the supervisor: to the end of the reports, which is the child's execve(2) or its death. Answers the process
    /// that the child left in its place, if it did.
    func serve(
        forwardingTo engine: Int32, at: (SetupPoint) throws(SetupFailure) -> Void
    ) throws(SetupFailure) -> pid_t? {
        let pipe = FileDescriptor(owning: report)
        defer { if release >= 0 { close(release) } }
        var (bytes, byteCount, isReady) = ([UInt8](), 0, false)
        var successor: pid_t?
        while true {
            let chunk = try step("start") { () throws(SystemError) in try pipe.read(upTo: 4096) }
            byteCount += chunk.count
            guard !chunk.isEmpty, byteCount <= Self.reportByteCountMax else { break }
            bytes += chunk
            for report in try Self.take(from: &bytes) {
                switch report {
                case .failed(let failure): throw failure
                case .warning: Report.send(report, to: engine)
                case .ready: isReady = true
                case .reached(let point):
                    try at(point)
                    var byte: UInt8 = 1
                    // A child that is gone shows at the end of its reports.
                    _ = write(release, &byte, 1)
                case .started(let pid, _): successor = pid
                }
            }
        }
        guard isReady else {
            throw SetupFailure(step: "start", code: ECHILD, text: "killed during the set-up (out of memory?)")
        }
        return successor
    }

    private static func take(from bytes: inout [UInt8]) throws(SetupFailure) -> [StartReport] {
        do {
            return try StartReport.take(from: &bytes)
        } catch {
            throw SetupFailure(step: "start", code: EPROTO, text: "the child's report is malformed (\(error))")
        }
    }
}
