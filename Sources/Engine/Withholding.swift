import EngineWire
import Images
import JSONDocument
import StackModel

/// Takes what is secret out of a document and puts it back: in its place stands a hash that only this engine can make,
/// which says whether a value is the one, and not what it is.
struct Withholding {
    private static let member = "withheld"
    private static let prefix = "hmac-sha256:"

    /// 32 bytes that nobody else knows.
    let key: [UInt8]

    // MARK: Out

    func redacted(_ stack: JSONValue, _ sensitivity: Sensitivity) -> JSONValue {
        redacted(stack, at: [], sensitivity)
    }

    private func redacted(_ value: JSONValue, at path: [String], _ sensitivity: Sensitivity) -> JSONValue {
        if Self.isContent(path), value != .null { return hole(value, at: path) }
        switch value {
        case .string(let text):
            return sensitivity.covers(components: path, text) ? hole(value, at: path) : value
        case .array(let items):
            let parts = items.enumerated().map { redacted($1, at: path + ["\($0)"], sensitivity) }
            // Words of a command that mean something together: `--password`, `hunter2`.
            let line = items.map { if case .string(let text) = $0 { text } else { "" } }.joined(separator: " ")
            return parts == items && sensitivity.covers(line) ? hole(value, at: path) : .array(parts)
        case .object(let members):
            return .object(
                Dictionary(uniqueKeysWithValues: members.map { ($0, redacted($1, at: path + [$0], sensitivity)) }))
        case .null, .bool, .integer, .number: return value
        }
    }

    /// Bytes of configs and secrets.
    private static func isContent(_ path: [String]) -> Bool {
        path.count == 3 && (path[0] == "configs" || path[0] == "secrets") && path[2] == "content"
    }

    private func hole(_ value: JSONValue, at path: [String]) -> JSONValue {
        .object([Self.member: .string(hash(value, at: path))])
    }

    /// The same value elsewhere has another hash, so that equal passwords are not seen to be equal.
    private func hash(_ value: JSONValue, at path: [String]) -> String {
        var bytes = Array(Self.pointer(path).utf8) + [0]
        Self.serialise(value, into: &bytes)
        return Self.prefix + keyedHash(bytes, key: key)
    }

    private static func serialise(_ value: JSONValue, into bytes: inout [UInt8]) {
        switch value {
        case .string(let text): bytes += Array("\"\(text.utf8.count):\(text)".utf8)
        case .array(let items):
            bytes += Array("[\(items.count):".utf8)
            for item in items { serialise(item, into: &bytes) }
        case .object(let members):
            bytes += Array("{\(members.count):".utf8)
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                serialise(.string(name), into: &bytes)
                serialise(member, into: &bytes)
            }
        case .integer(let number): bytes += Array("i\(number);".utf8)
        case .number(let number): bytes += Array("n\(number);".utf8)
        case .bool(let isOn): bytes.append(isOn ? 1 : 0)
        case .null: bytes.append(2)
        }
    }

    // MARK: In

    /// - Parameter candidates: values that may stand at a path (RFC 6901).
    /// - Returns: the document, and the paths at which no candidate is the value that was taken out.
    func filled(
        _ stack: JSONValue, _ candidates: (String) -> [JSONValue]
    ) -> (stack: JSONValue, missing: [String]) {
        var missing: [String] = []
        let stack = filled(stack, at: [], candidates, &missing)
        return (stack, missing)
    }

    private func filled(
        _ value: JSONValue, at path: [String], _ candidates: (String) -> [JSONValue], _ missing: inout [String]
    ) -> JSONValue {
        switch value {
        case .array(let items):
            return .array(items.enumerated().map { filled($1, at: path + ["\($0)"], candidates, &missing) })
        case .object(let members):
            if let hash = value.withheldHash {
                let pointer = Self.pointer(path)
                if let found = candidates(pointer).first(where: { self.hash($0, at: path) == hash }) { return found }
                missing.append(pointer)
                return .null
            }
            var result: [String: JSONValue] = [:]
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                result[name] = filled(member, at: path + [name], candidates, &missing)
            }
            return .object(result)
        default: return value
        }
    }

    private static func pointer(_ path: [String]) -> String {
        path.map { "/" + $0.replacing("~", with: "~0").replacing("/", with: "~1") }.joined()
    }
}

extension Sensitivity {
    /// As `covers(path:_:)`, for the places of a stack's JSON.
    fileprivate func covers(components: [String], _ text: String) -> Bool {
        covers(path: components.joined(separator: "."), text)
    }
}

/// HMAC-SHA-256 (RFC 2104), 64 hexadecimal digits.
///
/// - Parameter key: at most 64 bytes.
func keyedHash(_ message: [UInt8], key: [UInt8]) -> String {
    let blockByteCount = 64
    let padded = key + [UInt8](repeating: 0, count: max(0, blockByteCount - key.count))
    let inner = Digest.sha256(of: padded.map { $0 ^ 0x36 } + message)
    return Digest.sha256(of: padded.map { $0 ^ 0x5c } + bytes(inner.hex)).hex
}

private func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.utf8.map { $0 < 0x3a ? $0 - 0x30 : $0 - 0x57 }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
