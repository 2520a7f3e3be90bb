/// JSON written straight into bytes, for documents of thousands of members: nothing is kept in between.
public struct JSONBytes: Sendable {
    public private(set) var bytes: [UInt8] = []
    /// The next member or item needs a comma.
    private var isBehindOne = false

    public init(byteCount: Int = 0) { bytes.reserveCapacity(byteCount) }

    private mutating func begin() {
        if isBehindOne { bytes.append(UInt8(ascii: ",")) }
        isBehindOne = false
    }

    public mutating func key(_ name: String) {
        begin()
        quote(name)
        bytes.append(UInt8(ascii: ":"))
    }

    public mutating func object(_ body: (inout JSONBytes) -> Void) { nest(UInt8(ascii: "{"), UInt8(ascii: "}"), body) }

    public mutating func array(_ body: (inout JSONBytes) -> Void) { nest(UInt8(ascii: "["), UInt8(ascii: "]"), body) }

    private mutating func nest(_ open: UInt8, _ close: UInt8, _ body: (inout JSONBytes) -> Void) {
        begin()
        bytes.append(open)
        body(&self)
        bytes.append(close)
        isBehindOne = true
    }

    public mutating func string(_ text: String) {
        begin()
        quote(text)
        isBehindOne = true
    }

    public mutating func number(_ number: Int64) {
        begin()
        bytes.append(contentsOf: "\(number)".utf8)
        isBehindOne = true
    }

    public mutating func flag(_ value: Bool) {
        begin()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
        isBehindOne = true
    }

    public mutating func member(_ name: String, _ text: String) {
        key(name)
        string(text)
    }

    public mutating func member(_ name: String, _ value: Int64) {
        key(name)
        number(value)
    }

    public mutating func null(_ name: String) {
        key(name)
        bytes.append(contentsOf: "null".utf8)
        isBehindOne = true
    }

    /// RFC 8259 section 7.
    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { utf8 in
            for byte in utf8 {
                switch byte {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                    bytes.append(UInt8(ascii: "\\"))
                    bytes.append(byte)
                case 0..<0x20:
                    let digits = String(byte, radix: 16)
                    bytes.append(contentsOf: (digits.utf8.count == 1 ? "\\u000" : "\\u00").utf8)
                    bytes.append(contentsOf: digits.utf8)
                default: bytes.append(byte)
                }
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
