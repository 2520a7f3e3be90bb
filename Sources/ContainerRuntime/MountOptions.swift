import CLinux
import Glibc
import SupervisorPlan

/// The options of one mount, mount(8) and the OCI runtime specification's table: attributes, propagation, data.
struct MountOptions: Equatable {
    var attributesSet: UInt64 = 0
    var attributesClear: UInt64 = 0
    var attributesRecursive = false
    var isBind = false
    var recursive = false
    var propagation: UInt64 = 0
    var propagationRecursive = false
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

    init(_ options: [String]) throws(RuntimeError) {
        for option in options { try apply(option) }
    }

    private mutating func apply(_ option: String) throws(RuntimeError) {
        switch option {
        case "bind": isBind = true
        case "rbind": (isBind, recursive) = (true, true)
        case "tmpcopyup", "copy-symlink", "idmap", "ridmap", "mand", "sync", "dirsync":
            throw .unsupported("mount option '\(option)'")
        default:
            if let attribute = Self.attributes[option] {
                set(attribute)
            } else if option.hasPrefix("r"), let attribute = Self.attributes[String(option.dropFirst())] {
                set(attribute)
                attributesRecursive = true
            } else if let kind = Self.propagations[option] {
                propagation = kind
            } else if option.hasPrefix("r"), let kind = Self.propagations[String(option.dropFirst())] {
                (propagation, propagationRecursive) = (kind, true)
            } else {
                let parts = option.split(separator: "=", maxSplits: 1)
                guard let key = parts.first else { return }
                parameters.append(MountParameter(String(key), parts.count == 2 ? String(parts[1]) : nil))
            }
        }
    }

    private mutating func set(_ attribute: (set: UInt64, clear: UInt64)) {
        attributesSet = attributesSet & ~attribute.clear | attribute.set
        attributesClear = attributesClear & ~attribute.set | attribute.clear
    }
}

/// For `features`: the names that have a meaning here; others go to the file system.
public enum MountOptionNames {
    public static var all: [String] {
        let attributes = Array(MountOptions.attributes.keys)
        let propagations = Array(MountOptions.propagations.keys)
        let plain = attributes + propagations + ["bind"]
        let recursive = attributes.filter { $0 != "defaults" } + propagations + ["bind"]
        return Set(plain + recursive.map { "r\($0)" }).sorted()
    }
}
