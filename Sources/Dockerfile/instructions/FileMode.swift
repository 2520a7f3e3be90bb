/// COPY and ADD --chmod: octal, or symbolic as in chmod(1): `u=rwX,go=rX`, `a+x`, `g-w`. POSIX chmod, extended
/// description; who is not named is everybody, no umask is taken into account.
public struct FileMode: Equatable, Sendable {
    private enum Content: Equatable {
        case absolute(UInt32)
        case symbolic([Action])
    }

    private struct Action: Equatable {
        /// Bits of user, group and others: `0o700` and so on.
        var who: UInt32
        var sign: UInt8
        var letters: [UInt8]
    }

    private var content: Content

    /// The largest mode: permissions, set-user-ID, set-group-ID, sticky.
    public static let max: UInt32 = 0o7777

    /// `nil` for what is no mode.
    public init?(parsing text: String) {
        if let first = text.utf8.first, (0x30...0x39).contains(first) {
            guard let mode = UInt32(text, radix: 8), mode <= Self.max else { return nil }
            content = .absolute(mode)
            return
        }
        var actions: [Action] = []
        for clause in text.utf8.split(separator: 0x2C, omittingEmptySubsequences: false) {
            guard let more = Self.actions(Array(clause)) else { return nil }
            actions += more
        }
        content = .symbolic(actions)
    }

    private static func actions(_ clause: [UInt8]) -> [Action]? {
        var rest = clause[...]
        var who: UInt32 = 0
        while let byte = rest.first, let bits = group(byte) {
            who |= bits
            rest = rest.dropFirst()
        }
        if who == 0 { who = 0o777 }
        var result: [Action] = []
        while let sign = rest.first {
            guard [0x2B, 0x2D, 0x3D].contains(sign) else { return nil }
            let letters = Array(rest.dropFirst().prefix { ![0x2B, 0x2D, 0x3D].contains($0) })
            let isCopy = letters.count == 1 && "ugo".utf8.contains(letters[0])
            guard isCopy || letters.allSatisfy({ "rwxXst".utf8.contains($0) }) else { return nil }
            result.append(Action(who: who, sign: sign, letters: letters))
            rest = rest.dropFirst(letters.count + 1)
        }
        return result.isEmpty ? nil : result
    }

    private static func group(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "u"): 0o700
        case UInt8(ascii: "g"): 0o070
        case UInt8(ascii: "o"): 0o007
        case UInt8(ascii: "a"): 0o777
        default: nil
        }
    }

    /// Octal: the mode is the same whatever the file has now.
    public var isAbsolute: Bool {
        if case .absolute = content { true } else { false }
    }

    /// The permissions of a file that has `mode` now, without its type.
    public func applied(to mode: UInt32, isFolder: Bool) -> UInt32 {
        switch content {
        case .absolute(let mode): return mode
        case .symbolic(let actions):
            var result = mode & Self.max
            for action in actions { result = Self.apply(action, to: result, isFolder) }
            return result
        }
    }

    private static func apply(_ action: Action, to mode: UInt32, _ isFolder: Bool) -> UInt32 {
        var bits: UInt32 = 0
        for letter in action.letters { bits |= permissions(letter, mode, isFolder) & action.who }
        if action.letters.contains(UInt8(ascii: "s")) {
            bits |= (action.who & 0o700 != 0 ? 0o4000 : 0) | (action.who & 0o070 != 0 ? 0o2000 : 0)
        }
        if action.letters.contains(UInt8(ascii: "t")) { bits |= 0o1000 }
        switch action.sign {
        case UInt8(ascii: "+"): return mode | bits
        case UInt8(ascii: "-"): return mode & ~bits
        default:
            // chmod(1) keeps a folder's special bits unless they are named.
            var cleared = action.who
            if !isFolder {
                cleared |= (action.who & 0o700 != 0 ? 0o4000 : 0) | (action.who & 0o070 != 0 ? 0o2000 : 0)
                if action.who == 0o777 { cleared |= 0o1000 }
            }
            return mode & ~cleared | bits
        }
    }

    /// For all three groups alike.
    private static func permissions(_ letter: UInt8, _ mode: UInt32, _ isFolder: Bool) -> UInt32 {
        switch letter {
        case UInt8(ascii: "r"): 0o444
        case UInt8(ascii: "w"): 0o222
        case UInt8(ascii: "x"): 0o111
        case UInt8(ascii: "X"): isFolder || mode & 0o111 != 0 ? 0o111 : 0
        case UInt8(ascii: "u"): (mode >> 6 & 7) * 0o111
        case UInt8(ascii: "g"): (mode >> 3 & 7) * 0o111
        case UInt8(ascii: "o"): (mode & 7) * 0o111
        default: 0
        }
    }
}
