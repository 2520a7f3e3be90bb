import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The change to the container's user.
enum UserIDs {
    static func become(_ user: ResolvedUser) throws(SystemError) {
        if setgroups(user.groups.count, user.groups) != 0 {
            let code = errno
            // A user namespace with one id only has no groups to set; root in it has none to lose either.
            guard code == EPERM, user.groups.isEmpty || user.uid == 0 && areGroupsDenied else {
                throw Self.failure("setgroups", code)
            }
        }
        if setresgid(user.gid, user.gid, user.gid) != 0 { throw Self.failure("setresgid to \(user.gid)", errno) }
        if setresuid(user.uid, user.uid, user.uid) != 0 { throw Self.failure("setresuid to \(user.uid)", errno) }
    }

    /// `/proc/self/setgroups`: user_namespaces(7). Looked at before anything of a container is entered.
    static let areGroupsDenied: Bool = {
        // Unreadable: then the kernel's refusal stands.
        guard let bytes = try? FileSystem.readFile("/proc/self/setgroups", byteCountMax: 16) else { return false }
        return bytes.starts(with: Array("deny".utf8))
    }()

    static func failure(_ call: String, _ code: Int32) -> SystemError {
        // EINVAL: no such id in this user namespace.
        let isUnmapped = code == EINVAL || areGroupsDenied
        return SystemError(
            isUnmapped ? "\(call) (an id that is not mapped here: see subuid(5), subgid(5))" : call, code: code)
    }
}
