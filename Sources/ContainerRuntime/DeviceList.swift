import SupervisorPlan

extension RuntimeSpec.DeviceRule {
    /// The rules with those of the devices that every container has (default devices of the runtime specification),
    /// which a list of the caller's own may leave out. Nothing is added to an empty list, nor where all is allowed.
    static func completed(_ rules: [Self]) -> [Self] {
        let denies = rules.contains { !$0.allow }
        guard denies else { return rules }
        return rules + RuntimeSpec.defaultDeviceRules.filter { $0.allow && !rules.contains($0) }
    }
}

/// What the rules come to as the devices controller of v1 keeps it: everything but exceptions, or nothing but
/// exceptions. Documentation/admin-guide/cgroup-v1/devices.rst.
struct DeviceList: Equatable {
    struct Numbers: Hashable, Comparable {
        var isBlock: Bool
        /// `nil` is every number.
        var major: UInt32?
        var minor: UInt32?

        var text: String { "\(isBlock ? "b" : "c") \(major.map(String.init) ?? "*"):\(minor.map(String.init) ?? "*")" }

        static func < (one: Self, other: Self) -> Bool { one.text < other.text }

        func covers(_ other: Self) -> Bool {
            isBlock == other.isBlock && (major == nil || major == other.major) && (minor == nil || minor == other.minor)
        }
    }

    private(set) var allowsByDefault = false
    /// `BPF_DEVCG_ACC_*` that are the other way than the default.
    private(set) var exceptions: [Numbers: UInt32] = [:]

    /// `nil` when everything is allowed. What no rule matches is refused, as on v2.
    init?(_ rules: [RuntimeSpec.DeviceRule]) throws(RuntimeError) {
        if rules.isEmpty { return nil }
        for rule in rules { try apply(DeviceFilter.Rule(rule)) }
        if allowsByDefault, exceptions.isEmpty { return nil }
    }

    /// As `devices.list` of a live container says. Exceptions to "everything" are not listed there.
    init(listed text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3 else { continue }
            if words[0] == "a" {
                (allowsByDefault, exceptions) = (true, [:])
                continue
            }
            let numbers = words[1].split(separator: ":").map { UInt32($0) }
            guard numbers.count == 2 else { continue }
            let key = Numbers(isBlock: words[0] == "b", major: numbers[0], minor: numbers[1])
            exceptions[key, default: 0] |= DeviceFilter.Rule.access(String(words[2])) ?? 0
        }
    }

    private mutating func apply(_ rule: DeviceFilter.Rule) throws(RuntimeError) {
        if rule.isEverything {
            (allowsByDefault, exceptions) = (rule.allow, [:])
            return
        }
        let kinds: [Bool] = rule.kind == .any ? [true, false] : [rule.kind == .block]
        for isBlock in kinds {
            let numbers = Numbers(isBlock: isBlock, major: rule.major, minor: rule.minor)
            if rule.allow != allowsByDefault {
                exceptions[numbers, default: 0] |= rule.access
                continue
            }
            for (other, access) in exceptions where access & rule.access != 0 {
                if numbers.covers(other) {
                    let rest = access & ~rule.access
                    exceptions[other] = rest == 0 ? nil : rest
                } else if other.covers(numbers) {
                    throw .unsupported("'\(rule.text)' as an exception from '\(other.text)' on cgroup v1")
                }
            }
        }
    }

    /// From whatever the container has inherited.
    var writes: [CgroupWrite] {
        let start = CgroupWrite(allowsByDefault ? "devices.allow" : "devices.deny", "a")
        return [start] + exceptions.sorted { $0.key < $1.key }.map { entry(of: $0.key, $0.value, isException: true) }
    }

    private func entry(of numbers: Numbers, _ access: UInt32, isException: Bool) -> CgroupWrite {
        CgroupWrite(
            allowsByDefault != isException ? "devices.allow" : "devices.deny",
            "\(numbers.text) \(DeviceFilter.Rule.letters(access))")
    }

    /// From the list of a live container to this one: first what becomes allowed, then what is no longer, so that
    /// nothing allowed by both is refused in between. `nil`: the default changes, which goes by a moment of none.
    func transition(from present: DeviceList) -> [CgroupWrite]? {
        guard !allowsByDefault, !present.allowsByDefault else { return nil }
        var (added, removed): ([CgroupWrite], [CgroupWrite]) = ([], [])
        for (numbers, access) in exceptions.sorted(by: { $0.key < $1.key }) {
            let new = access & ~(present.exceptions[numbers] ?? 0)
            if new != 0 { added.append(entry(of: numbers, new, isException: true)) }
        }
        for (numbers, access) in present.exceptions.sorted(by: { $0.key < $1.key }) {
            let old = access & ~(exceptions[numbers] ?? 0)
            if old != 0 { removed.append(entry(of: numbers, old, isException: false)) }
        }
        return added + removed
    }
}
