import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

/// A collection of garbage, and a removal before it, that is killed at every one of its system calls.
@Suite(.serialized) struct KilledCollectionTests {
    private let folder: TestFolder
    private let template: String
    private let kept: [[UInt8]]

    /// A store with an image that stays, one that goes and shares a layer with it, an interrupted pull, and garbage.
    init() throws {
        folder = try TestFolder()
        template = "\(folder.path)/template"
        kept = (0..<2).map { Archives.layer("kept-\($0)", String(repeating: "k", count: 2000)) }
        let store = try ImageStore(root: template)
        for (name, layers) in [("kept:1", kept), ("gone:1", [kept[0], Archives.layer("gone", "gone")])] {
            let archive = try folder.write("archive", Archives.docker(layers: layers, tags: [name]))
            let file = try FileDescriptor.open(archive, O_RDONLY)
            _ = try store.load(from: file.raw)
        }
        try interruptPull(store)
        for number in 0..<3 {
            let name = Digest.sha256(of: [UInt8(number)]).hex
            try FileSystem.makeDirectories("\(template)/layers/\(name)/fs/inner")
            try FileSystem.replaceFile("\(template)/blobs/sha256/\(name)", with: [1, 2, 3])
        }
        store.trash.wait()
    }

    private var pulled: [UInt8] { Archives.layer("pulled", String(repeating: "p", count: 4000)) }

    /// Fetches 1,500 bytes of a layer unless they are there; answers what was there.
    @discardableResult
    private func interruptPull(_ store: ImageStore) throws -> Int64 {
        let intake = try store.beginIntake(try ImageReference(parsing: "pulled:1"))
        let digest = Digest.sha256(of: pulled)
        let layer = try #require(try intake.startLayer(digest, byteCount: Int64(pulled.count), diffID: digest))
        let byteCount = layer.byteCount
        if byteCount == 0 { try layer.write(Array(pulled.prefix(1500))) }
        intake.end()
        return byteCount
    }

    @Test func nothingInUseIsLostWhereverItIsKilled() throws {
        var (callCount, stuckCount) = (0, 0)
        // Small steps, so that a kill falls between any two calls; the last round is the one that came to its end.
        while true {
            let root = "\(folder.path)/store"
            try #require(system("rm -rf \(root) && cp -a \(template) \(root)") == 0)
            guard let ended = try Tracing.run(killingAfter: callCount, { KilledCollectionTests.collect(root) }) else {
                stuckCount += 1
                try #require(stuckCount < 5, "the child did not end, \(stuckCount) times")
                continue
            }
            try check(root, "killed after \(callCount) calls")
            if ended { break }
            callCount += 1
        }
        #expect(callCount > 50, "the child ended at once: nothing was tested")
    }

    private func check(_ root: String, _ comment: Comment) throws {
        let store = try reopenedStore(root)
        let image = try store.image("kept:1")
        #expect(try store.verify(image) == [], comment)
        // The other one is there as a whole, or not at all.
        for image in try store.images() { #expect(try store.verify(image) == [], comment) }
        #expect(try interruptPull(store) == 1500, comment)
        try store.collectGarbage(keepingInterrupted: false)
        let needed = try store.images().flatMap { $0.layers.map(\.diffID.hex) }
        #expect(try FileSystem.list("\(root)/layers") == Set(needed).sorted(), comment)
        #expect(try FileSystem.list("\(root)/partial") == [], comment)
        #expect(try store.emptiedTemporaries() == [], comment)
    }

    /// In the child: never returns.
    private static func collect(_ root: String) -> Never {
        do {
            let store = try ImageStore(root: root)
            _ = try store.remove([store.image("gone:1").id])
            store.trash.wait()
            _exit(0)
        } catch {
            print("collect: \(error)")
            _exit(1)
        }
    }
}

/// Runs a forked child call by call, all its threads, and kills it (ptrace(2)).
private enum Tracing {
    private typealias Ptrace = @convention(c) (Int, pid_t, UInt, UInt) -> Int
    /// From `<sys/ptrace.h>`, whose functions and numbers Swift does not import.
    private enum Request {
        static let traceMe = 0
        static let systemCall = 24
        static let setOptions = 0x4200
        static let optionSystemCallGood: UInt = 1
        static let optionTraceClone: UInt = 8
        static let optionExitKill: UInt = 0x10_0000
    }
    /// `__WALL` and `__WNOTHREAD`: threads too, and of this thread's children only; other tests have children, too.
    private static let waitOwn: Int32 = 0x4000_0000 | 0x2000_0000
    /// A child that waits for a lock of the parent's, which nobody will give back, is ended by its alarm.
    private static let childSecondsMax: UInt32 = 20

    /// Whether the child ended by itself before it had made `callCount` calls; nil when its alarm ended it.
    static func run(killingAfter callCount: Int, _ body: () -> Never) throws -> Bool? {
        // Swift hides fork(2), and cannot import functions with varying arguments.
        let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: (@convention(c) () -> pid_t).self)
        let ptrace = unsafeBitCast(try #require(dlsym(nil, "ptrace")), to: Ptrace.self)
        let child = fork()
        try #require(child >= 0)
        if child == 0 {
            // Locks of stores that other tests have open.
            close_range(3, .max, 0)
            alarm(childSecondsMax)
            _ = ptrace(Request.traceMe, 0, 0, 0)
            raise(SIGSTOP)
            body()
        }
        var status: Int32 = 0
        try #require(waitpid(child, &status, 0) == child && status & 0xff == 0x7f)
        let options = Request.optionSystemCallGood | Request.optionTraceClone | Request.optionExitKill
        try #require(ptrace(Request.setOptions, child, 0, options) == 0)
        _ = ptrace(Request.systemCall, child, 0, 0)
        var stops = 0
        while true {
            let seen = waitpid(-1, &status, waitOwn)
            try #require(seen > 0)
            if seen == child, status & 0xff != 0x7f {
                if status & 0x7f == SIGALRM { return nil }
                #expect(status == 0 || status & 0x7f == SIGKILL, "the child failed: \(status)")
                return status == 0
            }
            guard status & 0xff == 0x7f else { continue }
            let signal = (status >> 8) & 0xff
            if signal == SIGTRAP | 0x80 { stops += 1 }
            // Each call stops twice, on its way in and out.
            if stops > 2 * callCount { kill(child, SIGKILL) }
            let passed = signal == SIGTRAP | 0x80 || signal == SIGTRAP || signal == SIGSTOP ? 0 : UInt(signal)
            _ = ptrace(Request.systemCall, seen, 0, passed)
        }
    }
}
