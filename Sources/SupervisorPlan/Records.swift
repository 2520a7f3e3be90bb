/// Names of the files in a container's folder.
public enum ContainerFile {
    public static let state = "state"
    public static let exit = "exit"
    public static let attachSocket = "attach.sock"
    /// Mount point for the root inside the container's own mount namespace; empty for everyone else.
    public static let mountPoint = "mnt"
    /// `create`: a pipe of this name holds the container's process back; one byte lets it go. Its absence tells that
    /// the container has been started.
    public static let startGate = "start.fifo"
    /// `create`: a pipe on which the process reports once it was let go; closes when the program is executed.
    public static let startReport = "report.fifo"
    /// What went wrong after the container's end, when there is nobody left to be told: a line each.
    public static let warnings = "warnings"
}

/// Splits `name=value` words.
private func fields(of text: String) -> [String: String] {
    var fields: [String: String] = [:]
    for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
        guard let equals = word.firstIndex(of: "=") else { continue }
        fields[String(word[..<equals])] = String(word[word.index(after: equals)...])
    }
    return fields
}

/// Text as a word of a record: what is not a printable ASCII character is written as `%` and two hexadecimal digits.
enum RecordText {
    static func encode(_ text: String) -> String {
        var word = ""
        for byte in text.utf8 {
            if (0x21...0x7e).contains(byte), byte != UInt8(ascii: "%") {
                word.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                word += (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
            }
        }
        return word
    }

    /// `nil` when a `%` is not followed by two digits.
    static func decode(_ word: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Substring(word).utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// How a container ended: `code=… signal=… oom=0|1 at=<ns since 1970>`.
public struct ExitRecord: Equatable, Sendable, Codable {
    /// Exit code; 128 + signal when a signal ended it.
    public var code: Int32
    /// The signal that ended it, 0 for a normal exit.
    public var signal: Int32
    /// The kernel killed a process of the container for lack of memory.
    public var oomKilled: Bool
    /// Nanoseconds since 1970.
    public var at: UInt64

    public init(code: Int32, signal: Int32, oomKilled: Bool, at: UInt64) {
        self.code = code
        self.signal = signal
        self.oomKilled = oomKilled
        self.at = at
    }

    public init?(text: String) {
        let fields = fields(of: text)
        guard let code = fields["code"].flatMap({ Int32($0) }), let signal = fields["signal"].flatMap({ Int32($0) }),
            let oom = fields["oom"], let at = fields["at"].flatMap({ UInt64($0) })
        else { return nil }
        self.init(code: code, signal: signal, oomKilled: oom == "1", at: at)
    }

    public var text: String { "code=\(code) signal=\(signal) oom=\(oomKilled ? 1 : 0) at=\(at)\n" }
}

/// What a supervisor says of itself while its container lives. A process is its id together with its start time
/// (field 22 of `/proc/PID/stat`, clock ticks since boot).
public struct StateRecord: Equatable, Sendable {
    public var supervisorPID: Int32
    public var supervisorStart: UInt64
    /// 0 before the container's init exists.
    public var initPID: Int32
    public var initStart: UInt64
    /// Nanoseconds since 1970 at which the user's program was executed; 0 before that.
    public var startedAt: UInt64
    public var cgroupName: String
    /// Namespaces (`CLONE_NEW*`) of its own, for `exec`.
    public var namespaces: UInt64

    public init(supervisorPID: Int32, supervisorStart: UInt64, cgroupName: String) {
        self.supervisorPID = supervisorPID
        self.supervisorStart = supervisorStart
        self.cgroupName = cgroupName
        initPID = 0
        initStart = 0
        startedAt = 0
        namespaces = 0
    }

    public init?(text: String) {
        let fields = fields(of: text)
        guard let supervisor = fields["supervisor"].flatMap({ Int32($0) }),
            let supervisorStart = fields["supervisor-start"].flatMap({ UInt64($0) }),
            let initPID = fields["init"].flatMap({ Int32($0) }),
            let initStart = fields["init-start"].flatMap({ UInt64($0) }),
            let startedAt = fields["started"].flatMap({ UInt64($0) }),
            let namespaces = fields["namespaces"].flatMap({ UInt64($0) }),
            let cgroupName = fields["cgroup"].flatMap(RecordText.decode)
        else { return nil }
        self.init(supervisorPID: supervisor, supervisorStart: supervisorStart, cgroupName: cgroupName)
        self.initPID = initPID
        self.initStart = initStart
        self.startedAt = startedAt
        self.namespaces = namespaces
    }

    public var text: String {
        "supervisor=\(supervisorPID) supervisor-start=\(supervisorStart) init=\(initPID) init-start=\(initStart) "
            + "started=\(startedAt) namespaces=\(namespaces) cgroup=\(RecordText.encode(cgroupName))\n"
    }
}

/// `/proc/PID/stat`, the two fields that tell one process from another with its number. proc(5).
public struct ProcessStat: Equatable, Sendable {
    /// `R`, `S`, `Z`, …
    public var state: UInt8
    /// Clock ticks since boot.
    public var startTime: UInt64

    /// The command name may hold anything, so fields are counted from the last `)`.
    public init?(_ bytes: [UInt8]) {
        guard let close = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = bytes[(close + 1)...].split(separator: UInt8(ascii: " "))
        // Field 3 (state) is the first after the name; field 22 is the start time.
        guard fields.count > 19, let state = fields[0].first,
            let startTime = UInt64(String(decoding: fields[19], as: UTF8.self))
        else { return nil }
        self.state = state
        self.startTime = startTime
    }

    public var hasEnded: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }
}

/// Where a container's child waits for its supervisor.
public enum SetupPoint: UInt8, Sendable {
    /// In its new user namespace, whose maps are to be written.
    case userNamespaceMade = 0
    /// Everything is mounted and the old root still there: hooks of the host's side run now.
    case mountsMade = 1
}

/// What a supervisor tells the engine over the report pipe: warnings, then one `started` or `failed`.
public enum StartReport: PlanCodable, Equatable {
    case warning(String)
    case started(pid: Int32, at: UInt64)
    case failed(SetupFailure)
    /// Child to supervisor: only execve(2) is left. Without it, the end of the pipe means that the child died.
    case ready
    /// Child to supervisor: it waits until the supervisor has done its part.
    case reached(SetupPoint)

    public func encode(into encoder: inout PlanEncoder) {
        switch self {
        case .warning(let text):
            encoder.put(UInt8(0))
            encoder.put(text)
        case .started(let pid, let at):
            encoder.put(UInt8(1))
            encoder.put(pid)
            encoder.put(at)
        case .failed(let failure):
            encoder.put(UInt8(2))
            encoder.put(failure)
        case .ready: encoder.put(UInt8(3))
        case .reached(let point):
            encoder.put(UInt8(4))
            encoder.put(point.rawValue)
        }
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        let kind: UInt8 = try decoder.integer()
        switch kind {
        case 0: self = .warning(try decoder.string())
        case 1: self = .started(pid: try decoder.integer(), at: try decoder.integer())
        case 2: self = .failed(try SetupFailure(from: &decoder))
        case 3: self = .ready
        case 4: self = .reached(try decoder.choice("set-up point"))
        default: throw .badValue(field: "report")
        }
    }

    /// The bytes as they go into a pipe, below PIPE_BUF so that each report is written at once.
    public var bytes: [UInt8] {
        var encoder = PlanEncoder(capacity: 128)
        encoder.put(self)
        return encoder.bytes
    }

    /// All reports of a finished pipe.
    public static func parse(_ bytes: [UInt8]) throws(PlanError) -> [StartReport] {
        var decoder = PlanDecoder(bytes)
        var reports: [StartReport] = []
        while !decoder.isAtEnd { reports.append(try StartReport(from: &decoder)) }
        return reports
    }

    /// Takes the whole reports off the front of what has come so far; the start of the next one stays.
    public static func take(from bytes: inout [UInt8]) throws(PlanError) -> [StartReport] {
        var decoder = PlanDecoder(bytes)
        var reports: [StartReport] = []
        var taken = 0
        while !decoder.isAtEnd {
            do {
                reports.append(try StartReport(from: &decoder))
                taken = decoder.offset
            } catch {
                guard error == .truncated else { throw error }
                break
            }
        }
        bytes.removeFirst(taken)
        return reports
    }
}

/// The step of the set-up that failed, with the kernel's answer.
public struct SetupFailure: PlanCodable, Equatable, Error {
    public enum Kind: UInt8, Sendable {
        case step = 0
        /// The program is nowhere to be found (exit code 127).
        case executableNotFound = 1
        /// It is there and cannot be executed (exit code 126).
        case notExecutable = 2
        case userNotFound = 3
    }
    public var kind: Kind
    /// What was being done, e.g. `mount /proc`.
    public var step: String
    /// `errno`; 0 when no system call failed.
    public var code: Int32
    /// The system call or the reason in words.
    public var text: String

    public init(kind: Kind = .step, step: String, code: Int32, text: String) {
        self.kind = kind
        // Reports stay below PIPE_BUF (4096 bytes).
        let stepLengthMax = 1024
        self.step = String(step.prefix(stepLengthMax))
        self.code = code
        self.text = String(text.prefix(stepLengthMax))
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(kind.rawValue)
        encoder.put(step)
        encoder.put(code)
        encoder.put(text)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        kind = try decoder.choice("failure kind")
        step = try decoder.string()
        code = try decoder.integer()
        text = try decoder.string()
    }
}

/// The descriptors a supervisor is started with; everything above is closed.
public enum SupervisorDescriptor {
    public static let plan: Int32 = 3
    /// Pipe to the engine for `StartReport`s.
    public static let report: Int32 = 4
    /// Framed socket of the first client, where the plan says so; always present for `exec`.
    public static let client: Int32 = 5
    /// The supervisor's own program file, from which it was executed.
    public static let program: Int32 = 6
    /// `run`: those of the second client and of all after it.
    public static let furtherClients: Int32 = 7
    /// With the first.
    public static let clientsMax: UInt32 = 8
    /// `create` and `join`: the first descriptor that goes on to the container's program.
    public static let preserved: Int32 = 16
    public static let preservedCountMax: UInt32 = 1024
}
