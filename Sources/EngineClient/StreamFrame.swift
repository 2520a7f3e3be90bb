/// A piece of a container's output.
public struct StreamFrame: Equatable, Sendable {
    public enum Channel: UInt8, Sendable { case output = 1, error = 2 }
    public var channel: Channel
    public var bytes: [UInt8]

    public init(_ channel: Channel, _ bytes: [UInt8]) {
        self.channel = channel
        self.bytes = bytes
    }
}

/// Takes apart Docker's multiplexed stream: `[channel, 0, 0, 0, length as big-endian UInt32]`, then the bytes (Docker
/// Engine API, "Attach to a container"). With a terminal there are no frames and everything is output.
public struct FrameDecoder: Sendable {
    /// Docker's own frames hold at most 16 KiB; ours less than a line's limit.
    public static let payloadByteCountMax = 16 << 20

    private let raw: Bool
    private var header: [UInt8] = []
    private var current: (channel: StreamFrame.Channel, remaining: Int)?

    public init(raw: Bool) { self.raw = raw }

    /// Output so far; a long frame comes in pieces.
    public mutating func feed(_ bytes: ArraySlice<UInt8>) throws(HTTPFault) -> [StreamFrame] {
        if raw { return bytes.isEmpty ? [] : [StreamFrame(.output, Array(bytes))] }
        var frames: [StreamFrame] = []
        var rest = bytes
        while !rest.isEmpty {
            if let (channel, remaining) = current {
                let piece = rest.prefix(remaining)
                frames.append(StreamFrame(channel, Array(piece)))
                rest = rest.dropFirst(piece.count)
                current = remaining == piece.count ? nil : (channel, remaining - piece.count)
            } else {
                let piece = rest.prefix(8 - header.count)
                header += piece
                rest = rest.dropFirst(piece.count)
                if header.count == 8 { try startFrame() }
            }
        }
        return frames
    }

    /// The stream is at its end, which must not be inside a frame.
    public func finish() throws(HTTPFault) {
        guard current == nil, header.isEmpty else { throw .endedEarly }
    }

    private mutating func startFrame() throws(HTTPFault) {
        guard header[1...3].allSatisfy({ $0 == 0 }) else { throw .badFrame }
        // Channel 0 is standard input, which Docker's clients print as output.
        guard let channel = StreamFrame.Channel(rawValue: max(header[0], 1)) else { throw .badFrame }
        let length = header[4...7].reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.payloadByteCountMax else { throw .frameTooLong }
        header = []
        current = length == 0 ? nil : (channel, length)
    }
}
