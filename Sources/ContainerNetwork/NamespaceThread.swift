import CLinux
import Glibc
import LinuxSystem

/// Runs `body` on a thread of its own and waits for its end, and that of what it did to its namespaces.
func onOwnThread<Value: Sendable>(
    named name: String, _ body: @escaping @Sendable () throws(NetworkError) -> Value
) throws(NetworkError) -> Value {
    try system { () throws(SystemError) in try NamedThread.run(name, body) }.get()
}

/// Starts `body` on a detached thread.
func startDetachedThread(named name: String, _ body: @escaping @Sendable () -> Void) throws(NetworkError) {
    try system { () throws(SystemError) in try NamedThread.start(name, body) }
}

/// Runs `body` on a thread that has entered the network namespace at `path`. Sockets made there stay in it.
public func withNetworkNamespace<Value: Sendable>(
    _ path: String, _ body: @escaping @Sendable () throws(NetworkError) -> Value
) throws(NetworkError) -> Value {
    try onOwnThread(named: "netns-visit") { () throws(NetworkError) in
        try enterNetworkNamespace(path)
        return try body()
    }
}

/// For threads that end in there, or go on to another one.
func enterNetworkNamespace(_ path: String) throws(NetworkError) {
    try system { () throws(SystemError) in
        let namespace = try FileDescriptor.open(path, O_RDONLY)
        let raw = namespace.raw
        try check("setns", path: path) { setns(raw, CLONE_NEWNET) }
    }
}
