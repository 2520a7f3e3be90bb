import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Runs `body` on a thread of its own and waits for it. What a thread does to its namespaces ends with it, so that
/// nothing has to be undone, also when `body` fails half-way.
func onOwnThread<Value: Sendable>(
    named name: String, _ body: @escaping @Sendable () throws(NetworkError) -> Value
) throws(NetworkError) -> Value {
    let job = ThreadJob(name: name, body)
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, runThreadJob, Unmanaged.passRetained(job as ThreadBody).toOpaque())
    guard code == 0 else {
        Unmanaged.passUnretained(job as ThreadBody).release()
        throw .system(SystemError("pthread_create", path: nil, code: code))
    }
    pthread_join(thread, nil)
    return try job.result()
}

/// Starts `body` on a detached thread.
func startDetachedThread(named name: String, _ body: @escaping @Sendable () -> Void) throws(NetworkError) {
    let job = ThreadJob(name: name) { () throws(NetworkError) in body() }
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, runThreadJob, Unmanaged.passRetained(job as ThreadBody).toOpaque())
    guard code == 0 else {
        Unmanaged.passUnretained(job as ThreadBody).release()
        throw .system(SystemError("pthread_create", path: nil, code: code))
    }
    pthread_detach(thread)
}

/// Runs `body` on a thread that has entered the network namespace at `path`. Sockets made there stay in it.
public func withNetworkNamespace<Value: Sendable>(
    _ path: String, _ body: @escaping @Sendable () throws(NetworkError) -> Value
) throws(NetworkError) -> Value {
    try onOwnThread(named: "netns-visit") { () throws(NetworkError) in
        try system { () throws(SystemError) in
            let namespace = try FileDescriptor.open(path, O_RDONLY)
            let raw = namespace.raw
            try check("setns", path: path) { setns(raw, CLONE_NEWNET) }
        }
        return try body()
    }
}

// SAFETY: it has no state; an open class cannot be Sendable without saying so.
private class ThreadBody: @unchecked Sendable {
    func run() {}
}

// SAFETY: everything in it is immutable or inside the mutex.
private final class ThreadJob<Value: Sendable>: ThreadBody, @unchecked Sendable {
    private let name: String
    private let body: @Sendable () throws(NetworkError) -> Value
    private let outcome = Mutex<Result<Value, NetworkError>?>(nil)

    init(name: String, _ body: @escaping @Sendable () throws(NetworkError) -> Value) {
        self.name = name
        self.body = body
    }

    override func run() {
        pthread_setname_np(pthread_self(), name)
        let result: Result<Value, NetworkError>
        do {
            result = .success(try body())
        } catch {
            result = .failure(error)
        }
        outcome.withLock { $0 = result }
    }

    func result() throws(NetworkError) -> Value {
        guard let result = outcome.withLock({ $0 }) else { preconditionFailure("thread ended without a result") }
        return try result.get()
    }
}

private func runThreadJob(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
