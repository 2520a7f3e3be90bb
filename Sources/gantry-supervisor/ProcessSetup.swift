import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The last part of every child, with the container's root as its root: user, directory, privileges, program.
struct ProcessSetup: ~Copyable {
    private static let databaseByteCountMax = 4 << 20
    private static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    private static let capabilityMax: Int32 = 63

    let plan: ProcessPlan
    let root: FileDescriptor
    let user: ResolvedUser
    private let report: Int32
    private let listener: SeccompListener?

    init(_ plan: ProcessPlan, report: Int32, listener: SeccompListener?) throws(SetupFailure) {
        let root = try step("open the root") { () throws(SystemError) in
            try FileDescriptor.open("/", O_PATH | O_DIRECTORY)
        }
        user = try Self.resolve(plan, root: root)
        self.plan = plan
        self.report = report
        self.listener = listener
        self.root = root
    }

    // MARK: - User

    private static func resolve(_ plan: ProcessPlan, root: borrowing FileDescriptor) throws(SetupFailure)
        -> ResolvedUser
    {
        let hasHome = plan.environment.contains { $0.hasPrefix("HOME=") }
        if plan.user == nil, plan.groups.isEmpty, hasHome {
            return ResolvedUser(uid: plan.uid, gid: plan.gid, groups: plan.additionalGids, home: "/")
        }
        if plan.user == nil, plan.groups.isEmpty {
            // Numbers are all there is to run as; a home folder is looked for, and nothing depends on finding it.
            let passwd = (try? InRoot.readRegularFile(root, "/etc/passwd", byteCountMax: databaseByteCountMax)) ?? []
            return ResolvedUser(
                uid: plan.uid, gid: plan.gid, groups: plan.additionalGids,
                home: UserDatabase(passwd: passwd, group: []).home(of: plan.uid))
        }
        let database = UserDatabase(
            passwd: try read("/etc/passwd", root: root), group: try read("/etc/group", root: root))
        do throws(UserDatabase.Failure) {
            guard let user = plan.user else {
                var groups = plan.additionalGids
                for group in plan.groups { groups.append(try database.groupNumber(group)) }
                return ResolvedUser(uid: plan.uid, gid: plan.gid, groups: groups, home: database.home(of: plan.uid))
            }
            var resolved = try database.resolve(user, extraGroups: plan.groups)
            resolved.groups += plan.additionalGids
            return resolved
        } catch {
            let text: String
            switch error {
            case .malformed(let user): text = "'\(user)' is not a user[:group], or its number is out of range"
            case .unknownUser(let user): text = "no user '\(user)' in the container's /etc/passwd"
            case .unknownGroup(let group): text = "no group '\(group)' in the container's /etc/group"
            }
            throw SetupFailure(kind: .userNotFound, step: "look up the user", code: 0, text: text)
        }
    }

    /// A missing file is an empty one; anything that is not a regular file of sane size stops the start.
    private static func read(_ path: String, root: borrowing FileDescriptor) throws(SetupFailure) -> [UInt8] {
        try step("read \(path)") { () throws(SystemError) in
            do throws(SystemError) {
                return try InRoot.readRegularFile(root, path, byteCountMax: databaseByteCountMax)
            } catch {
                if error.code == ENOENT || error.code == ENOTDIR { return [] }
                throw error
            }
        }
    }

    // MARK: - Streams and directory

    /// Pipes belong to the user, who may open /dev/stdout again.
    func giveStreams() throws(SetupFailure) {
        guard user.uid != 0 else { return }
        try step("hand over the standard streams") { () throws(SystemError) in
            for stream in Int32(0)...2 {
                var status = stat()
                try check("fstat") { fstat(stream, &status) }
                guard status.st_mode & S_IFMT == S_IFIFO else { continue }
                if fchown(stream, user.uid, gid_t.max) != 0 { throw UserIDs.failure("fchown to \(user.uid)", errno) }
            }
        }
    }

    /// The directory is opened inside the root, without magic links: `/proc/self/fd/N` leads nowhere (CVE-2024-21626).
    func enterDirectory() throws(SetupFailure) {
        try step("enter the working directory \(plan.directory)") { () throws(SystemError) in
            let directory = try root.openInRoot(plan.directory, O_PATH | O_DIRECTORY)
            let raw = directory.raw
            try check("fchdir", path: plan.directory) { fchdir(raw) }
            guard let current = getcwd(nil, 0) else { throw SystemError("getcwd", path: plan.directory, code: errno) }
            defer { free(current) }
            guard current.pointee == CChar(bitPattern: UInt8(ascii: "/")) else {
                throw SystemError("getcwd", path: plan.directory, code: EXDEV)
            }
        }
    }

    /// Bounding set, ids, the other sets, seccomp, in the order that capabilities(7) and seccomp(2) ask for.
    func dropPrivileges() throws(SetupFailure) {
        try step("drop privileges") { () throws(SystemError) in
            _ = umask(plan.umask == .max ? 0o022 : mode_t(plan.umask & 0o777))
            for capability in 0...Self.capabilityMax where plan.capabilities.bounding >> UInt64(capability) & 1 == 0 {
                // EINVAL: past the last capability of this kernel.
                if gantry_prctl(PR_CAPBSET_DROP, UInt(capability), 0, 0, 0) != 0, errno == EINVAL { break }
            }
            try check("PR_SET_KEEPCAPS") { gantry_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) }
            try UserIDs.become(user)
            // The change of user may have raised it again.
            try check("PR_SET_DUMPABLE") { gantry_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) }
        }
        var sets = plan.capabilities
        if plan.dropForNonRoot, user.uid != 0 { (sets.effective, sets.permitted, sets.ambient) = (0, 0, 0) }
        // Without no_new_privs a filter needs CAP_SYS_ADMIN, which goes right after; with it the filter comes last.
        // Either way all that could be refused by the filter and need not come after it comes before.
        guard !plan.noNewPrivileges, !plan.seccomp.isEmpty else {
            try setCapabilities(sets)
            try raiseAmbient(sets)
            if plan.noNewPrivileges {
                try step("set no_new_privs") { () throws(SystemError) in
                    try check("prctl") { gantry_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }
                }
            }
            if !plan.seccomp.isEmpty { try loadFilter() }
            return
        }
        var administrator = sets
        administrator.effective |= UInt64(1) << UInt64(CAP_SYS_ADMIN)
        administrator.permitted |= UInt64(1) << UInt64(CAP_SYS_ADMIN)
        try setCapabilities(administrator)
        try raiseAmbient(sets)
        try loadFilter()
        try setCapabilities(sets)
    }

    private func setCapabilities(_ sets: CapabilityPlan) throws(SetupFailure) {
        try step("set capabilities") { () throws(SystemError) in
            try check("capset") { gantry_capset(sets.effective, sets.permitted, sets.inheritable) }
        }
    }

    private func raiseAmbient(_ sets: CapabilityPlan) throws(SetupFailure) {
        try step("set capabilities") { () throws(SystemError) in
            try check("PR_CAP_AMBIENT") { gantry_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0) }
        }
        for capability in 0...Self.capabilityMax where sets.ambient >> UInt64(capability) & 1 == 1 {
            if gantry_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_RAISE), UInt(capability), 0, 0) != 0 {
                Report.send(.warning("ambient capability \(capability) could not be raised"), to: report)
            }
        }
    }

    private func loadFilter() throws(SetupFailure) {
        try step("load the seccomp filter") { () throws(SystemError) in
            try listener?.announce()
            let count = UInt16(plan.seccomp.count / 8)
            let (flags, needed) = (plan.seccompFlags, plan.seccompFlags & UInt32(SECCOMP_FILTER_FLAG_NEW_LISTENER))
            try check("seccomp") {
                plan.seccomp.withUnsafeBytes { bytes in
                    let result = gantry_seccomp_filter(flags, bytes.baseAddress, count)
                    // An older kernel may not know the flags.
                    guard result < 0, errno == EINVAL, flags != needed else { return result }
                    return gantry_seccomp_filter(needed, bytes.baseAddress, count)
                }
            }
            try listener?.awaitDelivery()
        }
    }

    // MARK: - Program

    /// Tells early, at `create`, that there is no such program: `start` would be late for it.
    func findProgram() throws(SetupFailure) {
        let name = plan.arguments[0]
        var code = ENOENT
        for path in candidates(environment: plan.environment) {
            do {
                let file = try root.openInRoot(path, O_PATH)
                let status = try InRoot.status(file)
                if gantry_is_regular(status.st_mode) != 0, status.st_mode & 0o111 != 0 { return }
                code = EACCES
            } catch {
                if error.code != ENOENT, error.code != ENOTDIR { code = error.code }
            }
        }
        // What the look-up cannot judge, such as a magic link, execve(2) will.
        if code != ENOENT, code != EACCES { return }
        throw Self.failure(name, code)
    }

    private func candidates(environment: [String]) -> [String] {
        let name = plan.arguments[0]
        if name.utf8.contains(UInt8(ascii: "/")) {
            return [name.hasPrefix("/") ? name : "\(plan.directory)/\(name)"]
        }
        let path = environment.last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) } ?? Self.defaultPath
        return path.split(separator: ":").map { "\($0)/\(name)" }
    }

    /// Does not return but with the reason why the program could not be executed.
    func execute() -> SetupFailure {
        var environment = plan.environment
        if !environment.contains(where: { $0.hasPrefix("HOME=") }) { environment.append("HOME=\(user.home)") }
        let name = plan.arguments[0]
        let arguments = CStrings(plan.arguments)
        let variables = CStrings(environment)
        Report.send(.ready, to: report)
        Signals.unblockAll()
        if name.utf8.contains(UInt8(ascii: "/")) {
            execve(name, arguments.pointers, variables.pointers)
            return Self.failure(name, errno)
        }
        let path = environment.last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) } ?? Self.defaultPath
        var code = ENOENT
        for folder in path.split(separator: ":") where !name.isEmpty {
            execve("\(folder)/\(name)", arguments.pointers, variables.pointers)
            // As execvp(3): go on where it is merely not there, remember that it is forbidden somewhere.
            if errno == EACCES { code = EACCES }
            guard errno == ENOENT || errno == ENOTDIR || errno == EACCES else { return Self.failure(name, errno) }
        }
        return Self.failure(name, code)
    }

    private static func failure(_ name: String, _ code: Int32) -> SetupFailure {
        let isMissing = code == ENOENT || code == ENOTDIR
        return SetupFailure(
            kind: isMissing ? .executableNotFound : .notExecutable, step: "execute \(name)", code: code,
            text: SystemError("execve", path: name, code: code).description)
    }
}

/// A NULL-terminated array of C strings for execve(2), never freed: it lives until the program is executed.
struct CStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    init(_ strings: [String]) {
        pointers = .allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
        pointers[strings.count] = nil
    }
}
