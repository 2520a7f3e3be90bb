import Glibc

/// A `write(2)` of `value` to a control file of a cgroup.
public struct CgroupWrite: PlanCodable, Equatable {
    /// What a kernel without the file, or without this part of the controller, means for the start.
    public enum Missing: UInt8, Sendable {
        case failure = 0
        /// The container starts, and its user is told.
        case warning = 1
        case ignored = 2
    }

    public var file: String
    public var value: String
    public var missing: Missing
    /// At most one: tried where `file` is missing.
    public var instead: [CgroupWrite]

    public init(_ file: String, _ value: String, missing: Missing = .failure, instead: CgroupWrite? = nil) {
        self.file = file
        self.value = value
        self.missing = missing
        self.instead = instead.map { [$0] } ?? []
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(file)
        encoder.put(value)
        encoder.put(missing.rawValue)
        encoder.put(instead)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        file = try decoder.string()
        guard !file.utf8.contains(UInt8(ascii: "/")) else { throw .badValue(field: "cgroup file") }
        value = try decoder.string()
        missing = try decoder.choice("missing cgroup file")
        instead = try decoder.values()
    }

    public struct Refusal: Equatable, Sendable {
        public var write: CgroupWrite
        /// `errno`.
        public var code: Int32
    }

    /// Does every write by `perform`, which answers `errno` or 0. Some limits bound each other (memory and memory plus
    /// swap; quota, period and burst): what is refused at first is tried again after the others, so that one order
    /// serves raising and lowering. Stops at the first failure; answers the preferences that the kernel does not know.
    public static func perform(
        _ writes: [CgroupWrite], by perform: (CgroupWrite) -> Int32
    ) -> (failure: Refusal?, skipped: [Refusal]) {
        var (skipped, again): ([Refusal], [CgroupWrite]) = ([], [])
        for write in writes {
            let (tried, code) = write.attempt(perform)
            if code == 0 { continue }
            if code == EINVAL || code == EBUSY {
                again.append(tried)
            } else if !tried.isTolerated(code, &skipped) {
                return (Refusal(write: tried, code: code), skipped)
            }
        }
        for write in again {
            let code = perform(write)
            if code != 0, !write.isTolerated(code, &skipped) { return (Refusal(write: write, code: code), skipped) }
        }
        return (nil, skipped)
    }

    /// The write that was tried last, with its result.
    private func attempt(_ perform: (CgroupWrite) -> Int32) -> (CgroupWrite, Int32) {
        let code = perform(self)
        guard code == ENOENT, let other = instead.first else { return (self, code) }
        return (other, perform(other))
    }

    private func isTolerated(_ code: Int32, _ skipped: inout [Refusal]) -> Bool {
        guard missing != .failure, code == ENOENT || code == EOPNOTSUPP || code == EINVAL else { return false }
        if missing == .warning { skipped.append(Refusal(write: self, code: code)) }
        return true
    }
}

extension CgroupWrite.Refusal {
    /// What it means, after `set FILE to VALUE`.
    public var explanation: String {
        let what = "set \(write.file) to \(write.value)"
        switch code {
        case ENOENT: return "\(what): this host's kernel has no such control for this cgroup"
        case EBUSY where write.file.hasPrefix("memory."): return "\(what): the container uses more than that"
        case EINVAL where write.file == "memory.limit_in_bytes":
            return "\(what): it is above the limit of memory plus swap, which has to be raised with it"
        case EINVAL where write.file == "memory.memsw.limit_in_bytes":
            return "\(what): it is below the memory limit, which has to be lowered with it"
        default: return "\(what): \(String(cString: strerror(code)))"
        }
    }
}
