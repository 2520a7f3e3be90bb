import CLinux
import SupervisorPlan

/// What of a seccomp profile is not in the filter: flags and listener.
enum SeccompPlan {
    static let flags: [String: UInt32] = [
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW": UInt32(SECCOMP_FILTER_FLAG_SPEC_ALLOW),
        "SECCOMP_FILTER_FLAG_LOG": UInt32(SECCOMP_FILTER_FLAG_LOG),
        "SECCOMP_FILTER_FLAG_TSYNC": UInt32(SECCOMP_FILTER_FLAG_TSYNC),
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": UInt32(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV),
    ]

    /// `SECCOMP_FILTER_FLAG_*`; a profile that lists none gets SPEC_ALLOW, as under runc and crun.
    static func flags(_ profile: RuntimeSpec.Seccomp?) throws(RuntimeError) -> UInt32 {
        let notifies = profile.map(SeccompCompiler.notifies) ?? false
        var flags: UInt32 = notifies ? UInt32(SECCOMP_FILTER_FLAG_NEW_LISTENER) : 0
        for name in profile?.flags ?? ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"] {
            guard let flag = Self.flags[name] else { throw .invalidSpec("unknown seccomp flag '\(name)'") }
            switch flag {
            // Of one thread there is nothing to synchronize, and with a listener the kernel refuses it.
            case UInt32(SECCOMP_FILTER_FLAG_TSYNC) where notifies: continue
            // Says how to wait for the listener: refused by the kernel without one.
            case UInt32(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) where !notifies: continue
            default: flags |= flag
            }
        }
        return flags
    }

    /// The container process state, cut where the process's number goes in. Of an added process `initPID` is the
    /// container's own.
    static func listener(
        _ spec: RuntimeSpec, id: String, status: String, initPID: Int32? = nil
    ) -> ListenerPlan? {
        guard let profile = spec.linux.seccomp, SeccompCompiler.notifies(profile), let path = profile.listenerPath
        else { return nil }
        let version = quote(spec.ociVersion)
        let metadata = profile.listenerMetadata.map { ",\"metadata\":\(quote($0))" } ?? ""
        let before = "{\"ociVersion\":\(version),\"fds\":[\"seccompFd\"],\"pid\":"
        let state =
            "\(metadata),\"state\":{\"ociVersion\":\(version),\"id\":\(quote(id)),"
            + "\"status\":\(quote(status)),\"bundle\":\(quote(spec.root.path)),\"pid\":"
        let pieces = initPID.map { [before, "\(state)\($0)}}"] } ?? [before, state, "}}"]
        return ListenerPlan(path: path, state: pieces)
    }

    /// A JSON string.
    private static func quote(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\u{0}"..."\u{1f}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
