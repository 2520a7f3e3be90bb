import InternetAddress
import LinuxSystem
import Reconciler

/// A replica that goes: nothing leads to it any more, and what it has begun it may finish.
extension Engine {
    private static let drainIntervalMin = Duration.milliseconds(20)
    /// Of clients that stay long: reading the tables of many connections is work.
    private static let drainIntervalMax = Duration.milliseconds(250)
    /// Looks in a row that must find no connection: one may have been on its way when the first was taken.
    private static let quietLooks = 3

    /// Waits until nobody is connected to the container's ports, at most `patience` nanoseconds. The caller has taken
    /// it out of the balancer and DNS.
    func drain(_ id: String, atMost patience: Nanoseconds) async {
        guard let container = containers[id], let process = container.process,
            container.stored.networkMode == nil
        else { return }
        let deadline = Clock.monotonic() + patience
        var quiet = 0
        var interval = Self.drainIntervalMin
        while quiet < Self.quietLooks, Clock.monotonic() < deadline {
            guard containers[id]?.generation == container.generation, containers[id]?.process != nil else { return }
            let count = await pool.run { servedConnections(process: process.pid) }
            quiet = count == 0 ? quiet + 1 : 0
            interval = count == 0 ? Self.drainIntervalMin : min(interval * 5 / 4, Self.drainIntervalMax)
            // Cancelled at the engine's end: the next engine goes on.
            do { try await Task.sleep(for: interval) } catch { return }
        }
    }
}

/// TCP connections that others have to the ports a process listens on, in its network namespace. 0 when it is gone.
func servedConnections(process pid: Int32) -> Int {
    var count = 0
    let listening = listeningPorts(process: pid)
    for table in ["tcp", "tcp6"] {
        // Without IPv6 there is no such file.
        guard let bytes = try? FileSystem.readFile("/proc/\(pid)/net/\(table)") else { continue }
        count += servedConnections(table: String(decoding: bytes, as: UTF8.self), ports: listening)
    }
    return count
}

/// Lines of /proc/net/tcp whose local port is one of `ports` and whose state is ESTABLISHED, SYN_RECV or CLOSE_WAIT
/// (include/net/tcp_states.h), loopback's excepted: proc_net(5).
func servedConnections(table: String, ports: Set<UInt16>) -> Int {
    table.split(separator: "\n").dropFirst().count { line in
        let words = line.split(separator: " ")
        guard words.count > 3, ["01", "03", "08"].contains(words[3]) else { return false }
        let local = words[1].split(separator: ":")
        guard local.count == 2, let port = UInt16(local[1], radix: 16), ports.contains(port) else { return false }
        let remote = words[2].split(separator: ":").first.flatMap(HostListeners.address)
        return remote?.isLoopback == false
    }
}
