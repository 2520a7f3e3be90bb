import SupervisorPlan

/// Kernel parameters a container may set: those that belong to a namespace of its own.
enum Sysctls {
    /// Below `kernel/`, each with an ipc namespace.
    private static let interProcess: Set<String> = [
        "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax",
        "kernel/shmmni", "kernel/shm_rmid_forced", "kernel/shm_next_id", "kernel/msg_next_id", "kernel/sem_next_id",
        "kernel/auto_msgmni",
    ]

    static func compile(
        _ values: [String: String], namespaces: Set<RuntimeSpec.Namespace.Kind>
    ) throws(RuntimeError) -> [MountParameter] {
        var compiled: [MountParameter] = []
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            // A name with slashes is a path already, so that an interface may have a dot in its name: sysctl(8).
            let path = name.contains("/") ? name : name.split(separator: ".").joined(separator: "/")
            guard !path.hasPrefix("/"),
                !path.split(separator: "/", omittingEmptySubsequences: false).contains(where: {
                    $0.isEmpty || $0 == "." || $0 == ".."
                })
            else { throw .invalidSpec("'\(name)' is not a kernel parameter") }
            // CVE-2022-0811: no value may carry a second setting.
            guard !value.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 }), !value.contains("+") else {
                throw .invalidSpec("the value of '\(name)' holds a forbidden character")
            }
            guard isNamespaced(path, namespaces) else {
                throw .invalidSpec("kernel parameter '\(name)' is not the container's own")
            }
            compiled.append(MountParameter(path, value))
        }
        return compiled
    }

    private static func isNamespaced(_ path: String, _ namespaces: Set<RuntimeSpec.Namespace.Kind>) -> Bool {
        if path.hasPrefix("net/") { return namespaces.contains(.network) }
        if interProcess.contains(path) || path.hasPrefix("fs/mqueue/") { return namespaces.contains(.ipc) }
        return path == "kernel/domainname" && namespaces.contains(.uts)
    }
}
