import Testing

@testable import ContainerRuntime
@testable import SupervisorPlan

@Suite struct PlanCodingTests {
    private func examplePlan() throws -> ContainerPlan {
        var request = LaunchRequest(
            id: "x1", spec: .containerDefault(),
            root: .overlay(lower: ["/l1", "/l2"], upper: "/u", work: "/w", volatile: true), directory: "/run/x1")
        request.files = [InjectedFile(path: "/secret", bytes: [0, 255, 10])]
        request.log = LogSettings(path: "/log", maxBytes: 5, files: 2)
        request.user = "user:group"
        request.groups = ["a"]
        request.spec.hostname = "h"
        request.spec.process.oomScoreAdj = -5
        request.spec.linux.devices = [.init(type: "c", path: "/dev/fuse", major: 10, minor: 229)]
        let layout = CgroupLayout(mountinfo: "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw") { _ in
            "cpu memory pids cpuset"
        }
        let compiler = PlanCompiler(
            host: HostFacts(capabilities: .max, cgroups: layout, isInUserNamespace: false), cgroupParent: "gantry")
        return try compiler.compile(request, seccomp: [UInt8](repeating: 7, count: 64))
    }

    @Test func comesBackAsItWas() throws {
        let plan = try examplePlan()
        #expect(try PlanFile.decode(ContainerPlan.self, from: PlanFile.encode(plan)) == plan)
        var exec = ExecPlan(initPID: 5, initStartTime: 99, namespaces: 7, process: plan.process)
        exec.cgroups = [CgroupPlan(version: .one, path: "/c")]
        #expect(try PlanFile.decode(ExecPlan.self, from: PlanFile.encode(exec)) == exec)
    }

    private struct Part: PlanCodable {
        var path: String?

        func encode(into encoder: inout PlanEncoder) { encoder.put(path) }

        init(from decoder: inout PlanDecoder) throws(PlanError) { path = try decoder.optionalString() }
    }

    private struct Whole<Number: FixedWidthInteger & Sendable>: PlanCodable {
        var parts: [Part]
        var number: Number

        func encode(into encoder: inout PlanEncoder) {
            encoder.put(parts)
            encoder.put(number)
        }

        init(from decoder: inout PlanDecoder) throws(PlanError) {
            parts = try decoder.values()
            number = try decoder.integer()
        }
    }

    /// Engine and supervisor are of one build when they read the same values in the same order.
    @Test func aLayoutIsWhatIsRead() {
        func layout(_ type: (some PlanCodable).Type, _ text: String = "") -> String {
            String(decoding: PlanDecoder.layout(of: type, integer: 0, text: text), as: UTF8.self)
        }
        #expect(layout(Whole<UInt64>.self) == "nbsu@")
        #expect(layout(Whole<Int16>.self) == "nbsi\u{10}")
        // To its end, and with all that is in it: no answer of the survey ends it before.
        for text in ["", "/"] {
            #expect(layout(ContainerPlan.self, text).hasSuffix(layout(HooksPlan.self, text) + "u "))
        }
        for part in [layout(MountPlan.self, "/"), layout(FilePlan.self, "/"), layout(ProcessPlan.self, "/")] {
            #expect(layout(ContainerPlan.self, "/").contains(part))
            #expect(part.utf8.count > 6)
        }
        let reports = (UInt8(0)..<5).map { PlanDecoder.layout(of: StartReport.self, integer: $0, text: "") }
        #expect(Set(reports).count == reports.count)
    }

    @Test func aPlanOfAnotherBuildIsRefused() throws {
        var bytes = PlanFile.encode(try examplePlan())
        bytes[0] ^= 1
        #expect(throws: PlanError.otherBuild) { try PlanFile.decode(ContainerPlan.self, from: bytes) }
    }

    /// Whatever is cut off or changed, decoding ends with a plan or an error.
    @Test func damagedPlansAreErrors() throws {
        let bytes = PlanFile.encode(try examplePlan())
        for length in 0..<bytes.count {
            #expect(throws: PlanError.self) {
                _ = try PlanFile.decode(ContainerPlan.self, from: Array(bytes.prefix(length)))
            }
        }
        #expect(throws: PlanError.trailingBytes) { _ = try PlanFile.decode(ContainerPlan.self, from: bytes + [0]) }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            var damaged = bytes
            for _ in 0..<3 { damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255) }
            // Plan or error, either will do; a trap will not.
            _ = try? PlanFile.decode(ContainerPlan.self, from: damaged)
        }
    }

    @Test func reportsOfOnePipeAreCutApart() throws {
        let failure = SetupFailure(kind: .userNotFound, step: "s", code: 3, text: "t")
        let reports: [StartReport] = [.warning("w"), .ready, .started(pid: 4, at: 5), .failed(failure)]
        #expect(try StartReport.parse(reports.flatMap(\.bytes)) == reports)
        #expect(throws: PlanError.self) { _ = try StartReport.parse([9]) }
        #expect(throws: PlanError.self) { _ = try StartReport.parse(Array(reports[2].bytes.dropLast())) }
    }

    /// However a pipe cuts them, reports come out whole and in order.
    @Test func reportsAreTakenAsTheyCome() throws {
        let sent: [StartReport] = [
            .warning("slow"), .reached(.userNamespaceMade), .reached(.mountsMade), .ready,
            .failed(SetupFailure(step: "mount /proc", code: 1, text: "mount")),
        ]
        let bytes = sent.flatMap(\.bytes)
        for size in 1...bytes.count {
            var (pending, taken) = ([UInt8](), [StartReport]())
            for start in stride(from: 0, to: bytes.count, by: size) {
                pending += bytes[start..<min(start + size, bytes.count)]
                taken += try StartReport.take(from: &pending)
            }
            #expect(taken == sent)
            #expect(pending.isEmpty)
        }
        var nonsense: [UInt8] = [99]
        #expect(throws: PlanError.badValue(field: "report")) { try StartReport.take(from: &nonsense) }
    }

    @Test func framesAreCutApart() throws {
        var parser = FrameParser()
        let bytes = Frame.encode(.stdin, [1, 2, 3]) + Frame.encode(.closeStdin, []) + Frame.exit(code: 258)
        var kinds: [FrameKind] = []
        var payloads: [[UInt8]] = []
        for byte in bytes {
            parser.append([byte])
            while let frame = try parser.next() {
                kinds.append(frame.kind)
                payloads.append(frame.payload)
            }
        }
        #expect(kinds == [.stdin, .closeStdin, .exit])
        #expect(payloads == [[1, 2, 3], [], [0, 0, 1, 2]])
        parser.append([0, 0, 0, 0, 0xff, 0, 0, 0])
        #expect(throws: FrameParser.Failure.self) { _ = try parser.next() }
    }

    @Test func recordsAreText() throws {
        let exit = ExitRecord(code: 137, signal: 9, oomKilled: true, at: 123)
        #expect(exit.text == "code=137 signal=9 oom=1 at=123\n")
        #expect(ExitRecord(text: exit.text) == exit)
        #expect(ExitRecord(text: "code=x") == nil)
        var state = StateRecord(supervisorPID: 7, supervisorStart: 8, cgroupName: "gantry/x")
        (state.initPID, state.initStart, state.startedAt, state.namespaces) = (9, 10, 11, 12)
        #expect(StateRecord(text: state.text) == state)
        #expect(StateRecord(text: "") == nil)
    }

    @Test func processNamesCannotForgeTheirStartTime() throws {
        let fields = (3...22).map { $0 == 3 ? "S" : "\($0)" }.joined(separator: " ")
        #expect(ProcessStat(Array("5 (a) R 1 2 (b) \(fields)".utf8))?.startTime == 22)
        #expect(ProcessStat(Array("5 (a".utf8)) == nil)
        #expect(ProcessStat(Array("5 (a) Z 1".utf8)) == nil)
    }
}

@Suite struct LogFormatTests {
    @Test(arguments: [
        (0 as UInt64, "1970-01-01T00:00:00.000000000Z"), (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
        (1_795_233_844_123_456_789, "2026-11-21T04:04:04.123456789Z"),
        (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999999Z"),
    ])
    func timesAreWrittenAndRead(nanoseconds: UInt64, text: String) {
        #expect(String(decoding: Timestamp.text(nanoseconds: nanoseconds), as: UTF8.self) == text)
        #expect(Timestamp.parse(Array(text.utf8)) == nanoseconds)
    }

    @Test func everyPieceSizeGivesTheSameText() {
        let text = Array((0..<50).map { String(repeating: "x", count: $0 * 997 % 20_000) }.joined(separator: "\n").utf8)
        for size in [1, 7, 1000, 16384, 50_000] {
            var assembler = LogAssembler(.stdout)
            var output: [UInt8] = []
            var stamps = LogStamps()
            var rest = text[...]
            while !rest.isEmpty {
                let piece = Array(rest.prefix(size))
                piece.withUnsafeBytes { assembler.append($0, now: 5, &stamps, to: &output) }
                rest = rest.dropFirst(size)
            }
            assembler.finish(now: 5, &stamps, to: &output)
            var (read, last): ([UInt8], UInt64) = ([], 0)
            for line in output.split(separator: 0x0a, omittingEmptySubsequences: false).dropLast() {
                guard let record = LogRecord(line: line) else {
                    Issue.record("no record: \(line.count) bytes")
                    return
                }
                #expect(record.bytes.count <= LogAssembler.lineByteCountMax)
                #expect(record.time > last, "times grow")
                last = record.time
                read += record.bytes + (record.isPartial ? [] : [0x0a])
            }
            #expect(read == text)
        }
    }

    /// The clock may stand still, leap or be set back: times only grow, and are written as the clock's where they can.
    @Test func timesOfRecordsOnlyGrow() throws {
        let clock: [UInt64] = [5, 5, 999_999_999, 1, 1, 3_000_000_000, 3_000_000_001, 2_999_999_999, 9_000_000_000]
        var stamps = LogStamps(after: 4)
        var last: UInt64 = 4
        for now in clock {
            var text: [UInt8] = []
            stamps.append(now: now, to: &text)
            let time = try #require(Timestamp.parse(text))
            #expect(time == max(now, last + 1))
            last = time
        }
    }

    @Test func streamsEndInTheMiddleOfALine() throws {
        for (text, tags) in [("a\nb", "FE"), ("a\n", "F"), (String(repeating: "x", count: 16 << 10), "PE")] {
            var assembler = LogAssembler(.stderr)
            var (stamps, output) = (LogStamps(), [UInt8]())
            Array(text.utf8).withUnsafeBytes { assembler.append($0, now: 1, &stamps, to: &output) }
            assembler.finish(now: 2, &stamps, to: &output)
            let records = output.split(separator: 0x0a).map { LogRecord(line: $0) }
            #expect(records.compactMap { $0?.tag.rawValue } == Array(tags.utf8))
        }
    }

    @Test(arguments: ["", "x", "2026-11-21T04:04:04.123456789Z stdin F x", "2026-11-21T04:04:04.123456789Z stdout X x"])
    func otherLinesAreNoRecords(line: String) {
        #expect(LogRecord(line: Array(line.utf8)[...]) == nil)
    }
}
