import CLinux
import Glibc
import SupervisorPlan

/// The options of one mount, mount(8) and the OCI runtime specification's table: attributes, propagation, data.
struct MountOptions: Equatable {
    var attributesSet: UInt64 = 0
    var attributesClear: UInt64 = 0
    /// `rro` and its like: for every mount of a tree.
    var treeAttributesSet: UInt64 = 0
    var treeAttributesClear: UInt64 = 0
    var isBind = false
    var recursive = false
    var isRemount = false
    var propagation: UInt64 = 0
    var propagationRecursive = false
    var mapsIDs = false
    var mapsIDsRecursively = false
    var behaviour: MountBehaviour = []
    var parameters: [MountParameter] = []

    fileprivate static let attributes: [String: (set: UInt64, clear: UInt64)] = {
        let times = UInt64(MOUNT_ATTR__ATIME)
        let pairs: [(String, String, UInt64)] = [
            ("ro", "rw", UInt64(MOUNT_ATTR_RDONLY)), ("nosuid", "suid", UInt64(MOUNT_ATTR_NOSUID)),
            ("nodev", "dev", UInt64(MOUNT_ATTR_NODEV)), ("noexec", "exec", UInt64(MOUNT_ATTR_NOEXEC)),
            ("nodiratime", "diratime", UInt64(MOUNT_ATTR_NODIRATIME)),
            ("nosymfollow", "symfollow", UInt64(MOUNT_ATTR_NOSYMFOLLOW)),
        ]
        var table: [String: (set: UInt64, clear: UInt64)] = [
            "noatime": (UInt64(MOUNT_ATTR_NOATIME), times), "atime": (UInt64(MOUNT_ATTR_RELATIME), times),
            "relatime": (UInt64(MOUNT_ATTR_RELATIME), times), "norelatime": (UInt64(MOUNT_ATTR_STRICTATIME), times),
            "strictatime": (UInt64(MOUNT_ATTR_STRICTATIME), times),
            "nostrictatime": (UInt64(MOUNT_ATTR_RELATIME), times), "defaults": (0, 0),
        ]
        for (set, clear, bit) in pairs {
            table[set] = (bit, 0)
            table[clear] = (0, bit)
        }
        return table
    }()

    fileprivate static let propagations: [String: UInt64] = [
        "private": UInt64(MS_PRIVATE), "slave": UInt64(MS_SLAVE), "shared": UInt64(MS_SHARED),
        "unbindable": UInt64(MS_UNBINDABLE),
    ]

    /// mount(2) flags without a meaning for the new mount interface, whose file systems would refuse them as data.
    private static let ignored: Set<String> = [
        "", "silent", "loud", "iversion", "noiversion", "nofail", "auto", "noauto", "user", "nouser", "_netdev",
    ]

    init(_ options: [String]) throws(RuntimeError) {
        try PlanCompiler.checkStrings(options)
        for option in options { apply(option) }
    }

    /// A propagation by its name in a specification, `rslave`.
    static func propagation(_ name: String) -> (kind: UInt64, recursive: Bool)? {
        if let kind = propagations[name] { return (kind, false) }
        guard name.hasPrefix("r"), let kind = propagations[String(name.dropFirst())] else { return nil }
        return (kind, true)
    }

    private mutating func apply(_ option: String) {
        switch option {
        case "bind": isBind = true
        case "rbind": (isBind, recursive) = (true, true)
        case "remount": isRemount = true
        case "idmap": mapsIDs = true
        case "ridmap": (mapsIDs, mapsIDsRecursively) = (true, true)
        case "tmpcopyup": behaviour.insert(.copyUp)
        case "copy-symlink": behaviour.insert(.copySymlink)
        case "src-nofollow": behaviour.insert(.noFollowSource)
        case "dest-nofollow": behaviour.insert(.noFollowTarget)
        default: applyOther(option)
        }
    }

    private mutating func applyOther(_ option: String) {
        if let attribute = Self.attributes[option] {
            (attributesSet, attributesClear) = Self.adding(attribute, to: (attributesSet, attributesClear))
        } else if option.hasPrefix("r"), let attribute = Self.attributes[String(option.dropFirst())] {
            (treeAttributesSet, treeAttributesClear) = Self.adding(
                attribute, to: (treeAttributesSet, treeAttributesClear))
        } else if let (kind, recursive) = Self.propagation(option) {
            (propagation, propagationRecursive) = (kind, recursive)
        } else if !Self.ignored.contains(option) {
            // Also sync, dirsync, mand and lazytime with their opposites: fsconfig(2) takes them as parameters.
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            parameters.append(MountParameter(String(parts[0]), parts.count == 2 ? String(parts[1]) : nil))
        }
    }

    private static func adding(
        _ attribute: (set: UInt64, clear: UInt64), to sets: (set: UInt64, clear: UInt64)
    ) -> (UInt64, UInt64) {
        (sets.set & ~attribute.clear | attribute.set, sets.clear & ~attribute.set | attribute.clear)
    }
}

/// For `features`: the names that have a meaning here; others go to the file system.
public enum MountOptionNames {
    public static var all: [String] {
        let attributes = Array(MountOptions.attributes.keys)
        let propagations = Array(MountOptions.propagations.keys)
        let plain =
            attributes + propagations + ["bind", "remount", "idmap", "tmpcopyup", "copy-symlink", "src-nofollow"]
            + ["dest-nofollow"]
        let recursive = attributes.filter { $0 != "defaults" } + propagations + ["bind", "idmap"]
        return Set(plain + recursive.map { "r\($0)" }).sorted()
    }
}
