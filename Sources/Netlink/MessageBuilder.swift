import CLinux

/// Builds the bytes of one datagram: messages one after another, each with attributes nested to any depth. Lengths are
/// patched when a message or nest ends. `netlink(7)`.
public struct MessageBuilder: Sendable {
    /// What was built so far. Sequence numbers are zero until a socket sends it.
    public private(set) var bytes: [UInt8] = []
    /// Where each message's header starts.
    private(set) var messageOffsets: [Int] = []
    /// The messages that carry work: all but batch marks.
    private(set) var workIndices: [Int] = []
    /// The last of them: the one whose acknowledgement is asked for.
    var lastWork: Int? { workIndices.last }
    /// True once an attribute was longer than its 16-bit length field can say; such a datagram is never sent.
    public private(set) var isOversized = false

    static let headerByteCount = 16
    static let attributeHeaderByteCount = 4

    public init() {}

    public var isEmpty: Bool { messageOffsets.isEmpty }

    /// Number of messages.
    public var messageCount: Int { messageOffsets.count }

    /// Appends a message; `body` appends its fixed header and attributes. `NLM_F_REQUEST` is always set.
    public mutating func message(
        type: UInt16, flags: Int32 = 0, isBatchMark: Bool = false, _ body: (inout MessageBuilder) -> Void
    ) {
        let start = bytes.count
        if !isBatchMark { workIndices.append(messageOffsets.count) }
        messageOffsets.append(start)
        appendNative(UInt32(0))
        appendNative(type)
        appendNative(UInt16(truncatingIfNeeded: NLM_F_REQUEST | flags))
        appendNative(UInt32(0))
        appendNative(UInt32(0))
        body(&self)
        patch(UInt32(truncatingIfNeeded: bytes.count - start), at: start)
        pad()
    }

    /// Appends all messages of another builder.
    public mutating func append(messagesOf other: MessageBuilder) {
        let shift = bytes.count
        workIndices += other.workIndices.map { $0 + messageOffsets.count }
        messageOffsets += other.messageOffsets.map { $0 + shift }
        bytes += other.bytes
        isOversized = isOversized || other.isOversized
    }

    // MARK: fixed headers

    /// Appends raw bytes, padded to four.
    public mutating func append(_ raw: some Collection<UInt8>) {
        bytes.append(contentsOf: raw)
        pad()
    }

    /// Appends a number in the machine's byte order, unpadded: for the fields of fixed headers.
    public mutating func appendNative(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    // MARK: attributes

    /// An attribute with `payload` as it is.
    public mutating func put(_ type: some KernelConstant, _ payload: some Collection<UInt8>) {
        attribute(type.type16) { $0.bytes.append(contentsOf: payload) }
    }

    /// A NUL-terminated string.
    public mutating func put(_ type: some KernelConstant, string: String) {
        attribute(type.type16) {
            $0.bytes.append(contentsOf: string.utf8)
            $0.bytes.append(0)
        }
    }

    /// A number in the machine's byte order (rtnetlink).
    public mutating func put(_ type: some KernelConstant, native value: some FixedWidthInteger) {
        attribute(type.type16) { $0.appendNative(value) }
    }

    /// The same, or nothing.
    public mutating func put(_ type: some KernelConstant, native value: (some FixedWidthInteger)?) {
        if let value { put(type, native: value) }
    }

    /// A number in network byte order (nfnetlink).
    public mutating func put(_ type: some KernelConstant, big value: some FixedWidthInteger) {
        attribute(type.type16) { $0.appendNative(value.bigEndian) }
    }

    /// An attribute of attributes, marked `NLA_F_NESTED`.
    public mutating func nest(_ type: some KernelConstant, _ body: (inout MessageBuilder) -> Void) {
        attribute(type.type16 | UInt16(truncatingIfNeeded: NLA_F_NESTED), body)
    }

    private mutating func attribute(_ type: UInt16, _ body: (inout MessageBuilder) -> Void) {
        let start = bytes.count
        appendNative(UInt16(0))
        appendNative(type)
        body(&self)
        let count = bytes.count - start
        if count > Int(UInt16.max) { isOversized = true }
        patch(UInt16(truncatingIfNeeded: count), at: start)
        pad()
    }

    // MARK: sending

    /// The datagram with sequence numbers `first`, `first + 1`, … and an acknowledgement asked of the last message that
    /// carries work: an error of any message is reported without asking, and before it.
    func datagram(firstSequence: UInt32, acknowledgeAll: Bool = false) -> (bytes: [UInt8], acknowledged: UInt32) {
        var copy = self
        for (index, offset) in messageOffsets.enumerated() {
            copy.patch(firstSequence &+ UInt32(truncatingIfNeeded: index), at: offset + 8)
        }
        let last = lastWork ?? 0
        for index in acknowledgeAll ? workIndices : [last] where index < messageOffsets.count {
            let at = messageOffsets[index] + 6
            let flags = UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
            copy.patch(UInt16(littleEndian: flags) | UInt16(truncatingIfNeeded: NLM_F_ACK), at: at)
        }
        return (copy.bytes, firstSequence &+ UInt32(truncatingIfNeeded: last))
    }

    /// The bytes of one message; none when there is no such.
    func message(at index: Int) -> ArraySlice<UInt8> {
        guard messageOffsets.indices.contains(index) else { return [] }
        let end = index + 1 < messageOffsets.count ? messageOffsets[index + 1] : bytes.count
        return bytes[messageOffsets[index]..<end]
    }

    private mutating func patch(_ value: some FixedWidthInteger, at offset: Int) {
        withUnsafeBytes(of: value) { raw in
            for (index, byte) in raw.enumerated() { bytes[offset + index] = byte }
        }
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }
}
