import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Connections to engines on other machines: each is an ssh(1) whose standard input and output are one end of a pair of
/// sockets.
enum SSHConnection {
    private static let standardPath = "/usr/local/bin:/usr/bin:/bin"
    /// Those that were started here and may have ended.
    private static let children = Mutex<[pid_t]>([])

    /// - Parameter environment: of ssh.
    static func open(
        _ destination: SSHDestination, _ environment: [String: String]
    ) throws(EngineClientError) -> FileDescriptor {
        guard let program = find("ssh", in: environment["PATH"] ?? standardPath) else { throw .noSSH }
        do throws(SystemError) {
            reap()
            var raw: [Int32] = [-1, -1]
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            try check("socketpair") { socketpair(AF_UNIX, kind, 0, &raw) }
            let near = FileDescriptor(owning: raw[0])
            let far = FileDescriptor(owning: raw[1])
            let pid = try HelperProgram.start(
                path: program, arguments: destination.arguments(controlFolder: controlFolder(environment)),
                environment: environment.map { "\($0.key)=\($0.value)" }.sorted(), input: far.raw, output: far.raw,
                errors: STDERR_FILENO)
            children.withLock { $0.append(pid) }
            return near
        } catch {
            throw .system(error)
        }
    }

    private static func reap() {
        children.withLock { children in children.removeAll { waitpid($0, nil, WNOHANG) != 0 } }
    }

    /// The user's own folder for what ends with the session; sockets in it let in whoever can open them.
    private static func controlFolder(_ environment: [String: String]) -> String? {
        let folder = StandardPaths.current(environment).execRoot
        do throws(SystemError) {
            // Root's may be listed by everybody: ssh makes its sockets with mode 0600.
            try FileSystem.makeDirectories(folder, mode: geteuid() == 0 ? 0o711 : 0o700)
        } catch {
            // Without one there is a connection for each request.
            return nil
        }
        // Room for the hash of 40 digits, and what ssh appends while it makes the socket.
        let nameByteCount = 64
        return StandardPaths.isOwnFolder(folder, geteuid()) == true
            && folder.utf8.count + nameByteCount <= EngineHost.pathByteCountMax ? folder : nil
    }

    private static func find(_ name: String, in path: String) -> String? {
        path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}
