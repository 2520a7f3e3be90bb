import CLinux

/// The device allow list as a program for cgroup v2: `BPF_PROG_TYPE_CGROUP_DEVICE`, struct bpf_cgroup_dev_ctx.
enum DeviceFilter {
    /// A checked rule.
    struct Rule: Equatable {
        enum Kind: Equatable { case any, block, character }
        var allow: Bool
        var kind: Kind
        /// `nil` is every number.
        var major: UInt32?
        var minor: UInt32?
        /// `BPF_DEVCG_ACC_*`.
        var access: UInt32

        private static let accessAll: UInt32 = 7

        init(_ rule: RuntimeSpec.DeviceRule) throws(RuntimeError) {
            allow = rule.allow
            switch rule.type ?? "a" {
            case "a", "": kind = .any
            case "b": kind = .block
            case "c", "u": kind = .character
            default: throw .invalidSpec("device rule of unknown type '\(rule.type ?? "")'")
            }
            major = try Self.number(rule.major)
            minor = try Self.number(rule.minor)
            guard let access = Self.access(rule.access ?? "rwm") else {
                throw .invalidSpec("device access '\(rule.access ?? "")'")
            }
            self.access = access
        }

        /// `nil` for anything but `r`, `w` and `m`.
        static func access(_ letters: String) -> UInt32? {
            var access: UInt32 = 0
            for letter in letters {
                switch letter {
                case "m": access |= UInt32(BPF_DEVCG_ACC_MKNOD)
                case "r": access |= UInt32(BPF_DEVCG_ACC_READ)
                case "w": access |= UInt32(BPF_DEVCG_ACC_WRITE)
                default: return nil
                }
            }
            return access
        }

        static func letters(_ access: UInt32) -> String {
            var letters = ""
            if access & UInt32(BPF_DEVCG_ACC_READ) != 0 { letters += "r" }
            if access & UInt32(BPF_DEVCG_ACC_WRITE) != 0 { letters += "w" }
            if access & UInt32(BPF_DEVCG_ACC_MKNOD) != 0 { letters += "m" }
            return letters
        }

        private static func number(_ value: Int64?) throws(RuntimeError) -> UInt32? {
            guard let value, value != -1 else { return nil }
            guard let number = UInt32(exactly: value), number <= UInt32(Int32.max) else {
                throw .invalidSpec("device number \(value) is out of range")
            }
            return number
        }

        var isEverything: Bool { kind == .any && major == nil && minor == nil && access == Self.accessAll }
        var limitsAccess: Bool { access != Self.accessAll }

        /// As the v1 files take it: `c 1:3 rwm`.
        var text: String {
            let letter = kind == .any ? "a" : kind == .block ? "b" : "c"
            return "\(letter) \(major.map(String.init) ?? "*"):\(minor.map(String.init) ?? "*") \(Self.letters(access))"
        }
    }

    /// `struct bpf_insn` array; empty when there are no rules, which allows everything. The last rule that matches
    /// decides, so the program tests them from the last to the first; what none matches is refused.
    static func program(_ rules: [RuntimeSpec.DeviceRule]) throws(RuntimeError) -> [UInt8] {
        guard !rules.isEmpty else { return [] }
        if let last = try rules.last.map({ (rule) throws(RuntimeError) in try Rule(rule) }), last.allow,
            last.isEverything
        {
            return []
        }
        var code = Code()
        // r2: type, r3: access, r4: major, r5: minor.
        code.load(register: 2, offset: 0)
        code.and(register: 2, 0xffff)
        code.load(register: 3, offset: 0)
        code.shiftRight(register: 3, 16)
        code.load(register: 4, offset: 4)
        code.load(register: 5, offset: 8)
        for rule in rules.reversed() {
            let rule = try Rule(rule)
            code.append(rule)
            // What follows could not be reached, which the kernel's verifier refuses.
            if rule.isEverything { return code.bytes }
        }
        code.answer(0)
        return code.bytes
    }

    private struct Code {
        private(set) var bytes: [UInt8] = []

        mutating func append(_ rule: Rule) {
            var tests = Code()
            switch rule.kind {
            case .any: break
            case .block: tests.skipUnlessEqual(register: 2, UInt32(BPF_DEVCG_DEV_BLOCK))
            case .character: tests.skipUnlessEqual(register: 2, UInt32(BPF_DEVCG_DEV_CHAR))
            }
            if rule.limitsAccess {
                tests.move(to: 1, from: 3)
                tests.and(register: 1, ~rule.access & 7)
                tests.skipUnlessEqual(register: 1, 0)
            }
            if let major = rule.major { tests.skipUnlessEqual(register: 4, major) }
            if let minor = rule.minor { tests.skipUnlessEqual(register: 5, minor) }
            tests.answer(rule.allow ? 1 : 0)
            bytes += tests.resolved()
        }

        mutating func load(register: UInt8, offset: UInt16) {
            put(UInt8(BPF_LDX | BPF_MEM | BPF_W), destination: register, source: 1, offset: offset)
        }
        mutating func and(register: UInt8, _ value: UInt32) {
            put(UInt8(BPF_ALU | BPF_AND | BPF_K), destination: register, value: value)
        }
        mutating func shiftRight(register: UInt8, _ bits: UInt32) {
            put(UInt8(BPF_ALU | BPF_RSH | BPF_K), destination: register, value: bits)
        }
        mutating func move(to register: UInt8, from source: UInt8) {
            put(UInt8(Int32(BPF_ALU) | BPF_MOV | BPF_X), destination: register, source: source)
        }
        /// The jump's distance is filled in by `resolved`.
        mutating func skipUnlessEqual(register: UInt8, _ value: UInt32) {
            put(UInt8(BPF_JMP | BPF_JNE | BPF_K), destination: register, value: value)
        }
        mutating func answer(_ value: UInt32) {
            put(UInt8(BPF_ALU64 | BPF_MOV | BPF_K), destination: 0, value: value)
            put(UInt8(BPF_JMP | BPF_EXIT))
        }

        private mutating func put(
            _ code: UInt8, destination: UInt8 = 0, source: UInt8 = 0, offset: UInt16 = 0, value: UInt32 = 0
        ) {
            bytes += [code, source << 4 | destination, UInt8(offset & 0xff), UInt8(offset >> 8)]
            withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
        }

        /// Every test jumps past the end of its rule.
        func resolved() -> [UInt8] {
            var result = bytes
            let count = bytes.count / 8
            for index in 0..<count where bytes[index * 8] == UInt8(BPF_JMP | BPF_JNE | BPF_K) {
                let distance = UInt16(count - index - 1)
                result[index * 8 + 2] = UInt8(distance & 0xff)
                result[index * 8 + 3] = UInt8(distance >> 8)
            }
            return result
        }
    }
}
