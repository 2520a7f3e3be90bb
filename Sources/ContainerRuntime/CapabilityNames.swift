import CLibCap
import CLinux
import Glibc

/// Capability names to bit masks, through libcap.
public enum CapabilityNames {
    /// Every capability this kernel knows, `CAP_CHOWN` and so on.
    public static func all() -> [String] { known }

    /// Asked once: the kernel does not learn new ones.
    private static let known: [String] = {
        var names: [String] = []
        for number in 0..<64 where cap_get_bound(cap_value_t(number)) >= 0 {
            guard let name = cap_to_name(cap_value_t(number)) else { continue }
            defer { cap_free(name) }
            names.append(String(cString: name).uppercased())
        }
        return names
    }()

    /// Those of `all` that this process can hand on.
    public static func grantable() -> [String] {
        let held = held()
        return all().filter { name in
            // Names from libcap are known to it.
            guard let bit = try? bit(name) else { return false }
            return held & bit != 0
        }
    }

    /// The mask of `names`; `CAP_` may be missing, case does not matter.
    public static func mask(_ names: [String]) throws(RuntimeError) -> UInt64 {
        var mask: UInt64 = 0
        for name in names { mask |= try bit(name) }
        return mask
    }

    /// The mask of those among `names` that are capabilities.
    static func knownMask(_ names: [String]) -> UInt64 {
        // What is not one is warned about where the plan is made.
        names.reduce(0) { $0 | ((try? bit($1)) ?? 0) }
    }

    private static func bit(_ name: String) throws(RuntimeError) -> UInt64 {
        // libcap takes bare numbers too: not a name.
        guard let first = name.utf8.first, first < 0x30 || first > 0x39 else { throw .unknownCapability(name) }
        let full = canonical(name)
        var value: cap_value_t = 0
        guard cap_from_name(full.lowercased(), &value) == 0, (0..<64).contains(value) else {
            throw .unknownCapability(name)
        }
        return 1 << UInt64(value)
    }

    /// `chown` → `CAP_CHOWN`.
    public static func canonical(_ name: String) -> String {
        let upper = name.uppercased()
        return upper.hasPrefix("CAP_") ? upper : "CAP_\(upper)"
    }

    /// Docker's `cap_add` and `cap_drop` over a base set; `ALL` on either side. Unknown names are errors. The result is
    /// sorted.
    public static func resolve(
        add: [String], drop: [String], base: [String] = RuntimeSpec.defaultCapabilities
    ) throws(RuntimeError) -> [String] {
        let (added, dropped) = (add.map(canonical), drop.map(canonical))
        for name in added + dropped where name != "CAP_ALL" { _ = try bit(name) }
        var result: Set<String>
        if added.contains("CAP_ALL") {
            result = Set(all()).subtracting(dropped)
        } else if dropped.contains("CAP_ALL") {
            result = Set(added)
        } else {
            result = Set(base).union(added).subtracting(dropped)
        }
        result.remove("CAP_ALL")
        return result.sorted()
    }

    /// What this process may hand on: a capability outside the bounding set cannot be granted by anyone.
    static func held() -> UInt64 {
        var mask: UInt64 = 0
        for number in 0..<64 where cap_get_bound(cap_value_t(number)) == 1 { mask |= 1 << UInt64(number) }
        return mask
    }
}
