/// Turns the bytes of one HTTP/1.1 answer, in pieces of any size, into its head and its body. Pure: what acts is
/// `EngineStream`.
public struct ResponseDecoder: Sendable {
    /// What became known with the bytes fed last.
    public struct Progress: Equatable, Sendable {
        public var head: ResponseHead?
        public var body: [UInt8] = []
        public var ended = false

        public init() {}
    }

    private enum State {
        case head
        case length(remaining: UInt64)
        case chunkSize
        case chunkData(remaining: UInt64)
        case chunkEnd
        case trailers
        case untilClose
        case ended
    }

    /// A chunk-size line with its extensions.
    static let chunkLineByteCountMax = 4 << 10

    private var state = State.head
    /// Bytes of a line that is not complete yet.
    private var pending: [UInt8] = []
    /// Lines of the head so far, and their size.
    private var headLines: [[UInt8]] = []
    private var headByteCount = 0
    private let headRequest: Bool
    private let takenOver: Bool

    /// `headRequest`: the answer to HEAD, which has no body. `takenOver`: the request asked for the connection.
    public init(headRequest: Bool = false, takenOver: Bool = false) {
        self.headRequest = headRequest
        self.takenOver = takenOver
    }

    public var isEnded: Bool {
        if case .ended = state { true } else { false }
    }

    /// Takes bytes off the connection. Bytes after the end of the answer are not looked at: every connection carries
    /// one answer.
    public mutating func feed(_ bytes: ArraySlice<UInt8>) throws(HTTPFault) -> Progress {
        var progress = Progress()
        var rest = bytes
        while !rest.isEmpty || finishesWithoutInput {
            switch state {
            case .head, .trailers: try feedHeadLine(&rest, into: &progress)
            case .length(let remaining): feedLength(&rest, remaining, into: &progress)
            case .chunkSize: try feedChunkSize(&rest)
            case .chunkData(let remaining): feedChunkData(&rest, remaining, into: &progress)
            case .chunkEnd: try feedChunkEnd(&rest)
            case .untilClose:
                progress.body += rest
                rest = []
            case .ended:
                progress.ended = true
                return progress
            }
        }
        return progress
    }

    /// The connection is at its end.
    public mutating func finish() throws(HTTPFault) {
        switch state {
        case .untilClose, .ended: state = .ended
        case .head, .length, .chunkSize, .chunkData, .chunkEnd, .trailers: throw .endedEarly
        }
    }

    private var finishesWithoutInput: Bool { isEnded }

    /// Takes one line up to CRLF off `rest`, or keeps the beginning of one. A bare LF or CR is not a line end.
    private mutating func takeLine(
        _ rest: inout ArraySlice<UInt8>, byteCountMax: Int, tooLong: HTTPFault, bad: HTTPFault
    ) throws(HTTPFault) -> [UInt8]? {
        guard let newline = rest.firstIndex(of: 0x0a) else {
            pending += rest
            rest = []
            guard pending.count <= byteCountMax else { throw tooLong }
            return nil
        }
        var line = pending
        pending = []
        line += rest[..<newline]
        rest = rest[(newline + 1)...]
        guard line.count <= byteCountMax else { throw tooLong }
        guard line.last == 0x0d else { throw bad }
        line.removeLast()
        guard !line.contains(0x0d) else { throw bad }
        return line
    }

    private mutating func feedHeadLine(
        _ rest: inout ArraySlice<UInt8>, into progress: inout Progress
    ) throws(HTTPFault) {
        let limit = ResponseHead.byteCountMax - headByteCount
        guard let line = try takeLine(&rest, byteCountMax: limit, tooLong: .headTooLong, bad: .badHeader) else {
            return
        }
        headByteCount += line.count + 2
        // At once, so that a server of another kind that waits for us is not waited for.
        if case .head = state, headLines.isEmpty { try ResponseHead.checkStatusLine(line[...]) }
        if !line.isEmpty {
            headLines.append(line)
            // One more than the headers for the status line.
            guard headLines.count <= ResponseHead.headerCountMax + 1 else { throw .tooManyHeaders }
            return
        }
        if case .trailers = state {
            state = .ended
            return
        }
        let head = try ResponseHead(parsing: headLines.map { $0[...] })
        headLines = []
        headByteCount = 0
        // An interim answer (RFC 9110 section 15.2) comes before the real one.
        if (100...199).contains(head.status), head.status != 101 { return }
        if head.status == 101, !takenOver { throw .badStatusLine }
        progress.head = head
        switch try head.framing(headRequest: headRequest, takenOver: takenOver) {
        case .none: state = .ended
        case .length(let length): state = .length(remaining: length)
        case .chunked: state = .chunkSize
        case .untilClose: state = .untilClose
        }
    }

    private mutating func feedLength(
        _ rest: inout ArraySlice<UInt8>, _ remaining: UInt64, into progress: inout Progress
    ) {
        let count = Int(min(remaining, UInt64(rest.count)))
        progress.body += rest.prefix(count)
        rest = rest.dropFirst(count)
        let left = remaining - UInt64(count)
        state = left == 0 ? .ended : .length(remaining: left)
    }

    private mutating func feedChunkSize(_ rest: inout ArraySlice<UInt8>) throws(HTTPFault) {
        guard
            let line = try takeLine(
                &rest, byteCountMax: Self.chunkLineByteCountMax, tooLong: .chunkLineTooLong, bad: .badChunkSize)
        else { return }
        let digits = line.prefix { $0 != UInt8(ascii: ";") && $0 != 0x20 && $0 != 0x09 }
        // 15 hexadecimal digits fit an Int with room to spare.
        guard (1...15).contains(digits.count) else { throw .badChunkSize }
        var size: UInt64 = 0
        for digit in digits {
            guard let value = hexadecimalValue(digit) else { throw .badChunkSize }
            size = size << 4 | UInt64(value)
        }
        guard line.dropFirst(digits.count).first(where: { $0 != 0x20 && $0 != 0x09 }) ?? 0x3b == 0x3b else {
            throw .badChunkSize
        }
        state = size == 0 ? .trailers : .chunkData(remaining: size)
    }

    private mutating func feedChunkData(
        _ rest: inout ArraySlice<UInt8>, _ remaining: UInt64, into progress: inout Progress
    ) {
        let count = Int(min(remaining, UInt64(rest.count)))
        progress.body += rest.prefix(count)
        rest = rest.dropFirst(count)
        let left = remaining - UInt64(count)
        state = left == 0 ? .chunkEnd : .chunkData(remaining: left)
    }

    private mutating func feedChunkEnd(_ rest: inout ArraySlice<UInt8>) throws(HTTPFault) {
        guard let line = try takeLine(&rest, byteCountMax: 2, tooLong: .badChunkEnd, bad: .badChunkEnd) else { return }
        guard line.isEmpty else { throw .badChunkEnd }
        state = .chunkSize
    }
}

func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
}
