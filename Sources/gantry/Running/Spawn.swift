import CLinux
import Glibc
import LinuxSystem

/// Starts the supervisor in a session of its own, in `/`, with nothing of ours but its environment: standard
/// input, output and error on /dev/null, no other descriptor, default signals (posix_spawn(3)).
func spawnDetached(_ launch: EngineLaunch) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }
    try succeed("posix_spawn_file_actions_addopen") {
        let failed = (0...2).map { posix_spawn_file_actions_addopen(&actions, $0, "/dev/null", O_RDWR, 0) }
        return failed.first { $0 != 0 } ?? 0
    }
    try succeed("posix_spawn_file_actions_addclosefrom_np") { posix_spawn_file_actions_addclosefrom_np(&actions, 3) }
    try succeed("posix_spawn_file_actions_addchdir_np") { posix_spawn_file_actions_addchdir_np(&actions, "/") }
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    try succeed("posix_spawnattr_setsigmask") { posix_spawnattr_setsigmask(&attributes, &none) }
    try succeed("posix_spawnattr_setsigdefault") { posix_spawnattr_setsigdefault(&attributes, &all) }
    let flags = Int32(POSIX_SPAWN_SETSID) | Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
    try succeed("posix_spawnattr_setflags") { posix_spawnattr_setflags(&attributes, Int16(flags)) }
    var process: pid_t = 0
    let arguments = CStrings(launch.arguments)
    let environment = CStrings(launch.environment)
    try succeed("posix_spawn", path: launch.supervisor) {
        posix_spawn(&process, launch.supervisor, &actions, &attributes, arguments.pointers, environment.pointers)
    }
    return process
}

/// These calls answer their error instead of setting `errno`.
private func succeed(_ call: String, path: String? = nil, _ body: () -> Int32) throws(SystemError) {
    let code = body()
    guard code == 0 else { throw SystemError(call, path: path, code: code) }
}

/// A null-terminated array of C strings, freed with the value.
private final class CStrings {
    private(set) var pointers: [UnsafeMutablePointer<CChar>?]

    init(_ strings: [String]) { pointers = strings.map { strdup($0) } + [nil] }

    deinit { for pointer in pointers { free(pointer) } }
}
