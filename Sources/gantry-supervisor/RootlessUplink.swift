import CLinux
import Glibc
import LinuxSystem

/// The programs that connect a plain user's network namespace with the outside: each makes an interface in it and
/// carries what comes out of it through sockets of its own. pasta(1), slirp4netns(1).
enum RootlessUplink: String, CaseIterable {
    case pasta, slirp4netns

    /// Bytes: the largest that both take. Packets never reach a wire as they are, so a large one only saves work.
    private static let mtu = "65520"

    /// The one that the environment's GANTRY_UPLINK asks for, or each in turn; `none` asks for none.
    static var wanted: [RootlessUplink] {
        guard let name = getenv("GANTRY_UPLINK").map({ String(cString: $0) }), !name.isEmpty else { return allCases }
        return RootlessUplink(rawValue: name).map { [$0] } ?? []
    }

    /// Where DNS queries of the namespace reach the host's server, also one that only the host's loopback has.
    var resolver: String {
        switch self {
        case .pasta: "169.254.1.1"
        case .slirp4netns: "10.0.2.3"
        }
    }

    /// Nothing of the host's loopback is reachable from inside, and no port of the host is bound: published ports go
    /// another way.
    func start(for process: pid_t, log: String) -> pid_t? {
        var command: [String]
        switch self {
        case .pasta:
            command = ["pasta", "--foreground", "--quiet", "--config-net", "--no-map-gw", "--mtu", Self.mtu]
            command += ["-t", "none", "-u", "none", "-T", "none", "-U", "none", "--dns-forward", resolver]
            command += ["\(process)"]
        case .slirp4netns:
            command = ["slirp4netns", "--configure", "--mtu=\(Self.mtu)", "--disable-host-loopback"]
            command += ["\(process)", "tap0"]
        }
        return ChildProcess.spawn(command, output: log)
    }
}
