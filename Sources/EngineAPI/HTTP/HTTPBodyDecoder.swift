import NIOCore

/// Takes one request's body from the bytes of a connection: by length, or chunked (RFC 9112 section 7.1). Bytes in,
/// pieces out; it consumes nothing beyond the body's end.
struct HTTPBodyDecoder {
    enum Step: Equatable {
        case piece([UInt8])
        case needsMore
        case end
    }

    private enum State {
        case fixed(Int64)
        case chunkSize
        case chunkData(Int64)
        case chunkEnd
        case trailer(byteCount: Int)
        case end
    }

    private var state: State

    init(_ framing: HTTPRequestHead.Framing) {
        state =
            switch framing {
            case .none: .end
            case .fixed(let byteCount): .fixed(byteCount)
            case .chunked: .chunkSize
            }
    }

    var isAtEnd: Bool { if case .end = state { true } else { false } }

    mutating func next(_ buffer: inout ByteBuffer) throws(HTTPError) -> Step {
        while true {
            switch state {
            case .end:
                return .end
            case .fixed(let byteCount):
                guard byteCount > 0 else {
                    state = .end
                    return .end
                }
                guard let piece = Self.take(byteCount, from: &buffer) else { return .needsMore }
                state = .fixed(byteCount - Int64(piece.count))
                return .piece(piece)
            case .chunkData(let byteCount):
                guard byteCount > 0 else {
                    state = .chunkEnd
                    continue
                }
                guard let piece = Self.take(byteCount, from: &buffer) else { return .needsMore }
                state = .chunkData(byteCount - Int64(piece.count))
                return .piece(piece)
            case .chunkSize, .chunkEnd, .trailer:
                guard try stepFraming(&buffer) else { return .needsMore }
            }
        }
    }

    /// One line of chunked framing; `false` when it is not complete.
    private mutating func stepFraming(_ buffer: inout ByteBuffer) throws(HTTPError) -> Bool {
        guard let line = try Self.takeLine(&buffer) else { return false }
        switch state {
        case .chunkSize:
            let size = try Self.chunkSize(line)
            state = size == 0 ? .trailer(byteCount: 0) : .chunkData(size)
        case .chunkEnd:
            guard line.isEmpty else { throw HTTPError(400, "malformed chunk") }
            state = .chunkSize
        case .trailer(let byteCount):
            // Trailer fields carry nothing for us: they are read over.
            guard byteCount + line.count <= HTTPLimits.trailerByteCountMax else {
                throw HTTPError(431, "trailer fields are too large")
            }
            state = line.isEmpty ? .end : .trailer(byteCount: byteCount + line.count + 2)
        case .fixed, .chunkData, .end:
            break
        }
        return true
    }

    private static func take(_ byteCount: Int64, from buffer: inout ByteBuffer) -> [UInt8]? {
        let count = min(Int64(min(buffer.readableBytes, HTTPLimits.bodyPieceByteCountMax)), byteCount)
        return count > 0 ? buffer.readBytes(length: Int(count)) : nil
    }

    /// A line without its CRLF.
    private static func takeLine(_ buffer: inout ByteBuffer) throws(HTTPError) -> [UInt8]? {
        let view = buffer.readableBytesView.prefix(HTTPLimits.chunkLineByteCountMax)
        guard let feed = view.firstIndex(of: 0x0A) else {
            guard view.count < HTTPLimits.chunkLineByteCountMax else { throw HTTPError(400, "chunk line is too long") }
            return nil
        }
        let line = [UInt8](view[..<feed])
        guard line.last == 0x0D, line.firstIndex(of: 0x0D) == line.count - 1 else {
            throw HTTPError(400, "malformed chunk line")
        }
        buffer.moveReaderIndex(forwardBy: line.count + 1)
        return line.dropLast()
    }

    /// `1*HEXDIG [chunk-ext]`; extensions are read over.
    private static func chunkSize(_ line: [UInt8]) throws(HTTPError) -> Int64 {
        var size: Int64 = 0
        var digitCount = 0
        var rest = line[...]
        while let digit = rest.first.flatMap(hexValue) {
            size = size << 4 | Int64(digit)
            digitCount += 1
            rest.removeFirst()
            guard digitCount <= 15 else { throw HTTPError(413, "chunk is too large") }
        }
        while let byte = rest.first, byte == 0x20 || byte == 0x09 { rest.removeFirst() }
        guard digitCount > 0, rest.isEmpty || rest.first == UInt8(ascii: ";") else {
            throw HTTPError(400, "malformed chunk size")
        }
        return size
    }
}
