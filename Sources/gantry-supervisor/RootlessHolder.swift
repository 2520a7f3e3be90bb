import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The process that holds a plain user's namespaces: inside of them from its first instruction. It is there before the
/// engine and after it, for as long as an engine is connected or a container runs, and forwards published ports.
struct RootlessHolder {
    private static let routeMilliseconds: UInt64 = 5_000
    private static let routePollMilliseconds: Int32 = 5

    let execRoot: String
    let keeper: Int32
    private var hasSingleID = true
    private var uplink = "none"
    private var uplinkWords: [Substring] = []

    static func run(execRoot: String, keeper: Int32) -> Never {
        "gantry-holder".withCString { _ = gantry_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0, 0, 0) }
        var holder = RootlessHolder(execRoot: execRoot, keeper: keeper)
        do {
            try holder.prepare()
        } catch {
            // Without a keeper there is nobody left to tell.
            try? MessageSocket.send("failed \(error.step): \(error.text)", to: keeper)
            _exit(1)
        }
        _exit(0)
    }

    private init(execRoot: String, keeper: Int32) {
        self.execRoot = execRoot
        self.keeper = keeper
    }

    private mutating func prepare() throws(SetupFailure) {
        let ids = try hear().split(separator: " ")
        guard ids.count == 2, ids[0] == "ids" else { throw Self.malformed }
        hasSingleID = ids[1] == "single"
        try step("detach from the host's mounts") { () throws(SystemError) in
            // Slave: file systems that are mounted later arrive, nothing of ours goes back.
            try check("mount", path: "/") { mount(nil, "/", nil, UInt(MS_REC | MS_SLAVE), nil) }
        }
        try step("bring up lo") { () throws(SystemError) in try check("ioctl") { gantry_loopback_up() } }
        try awaitUplink()
        let path = RootlessFacts.socketPath(execRoot: execRoot)
        let listener = try step("listen on \(path)") { () throws(SystemError) in
            try UnixListener.messages(at: path).take()
        }
        let server = try step("make the event loop") { () throws(SystemError) in
            try RootlessServer(
                listener: listener, keeper: keeper,
                facts: RootlessFacts(holder: getpid(), uplink: uplink, hasSingleID: hasSingleID),
                survivors: RootlessSurvivors(execRoot: execRoot), uplink: UplinkProcess(uplinkWords))
        }
        try step("answer the keeper") { () throws(SystemError) in try MessageSocket.send("ready", to: keeper) }
        server.run()
        unlink(path)
    }

    private static let malformed = SetupFailure(
        step: "hear from the keeper", code: EPROTO, text: "it said what is not expected")

    private func hear() throws(SetupFailure) -> String {
        let message = try step("hear from the keeper") { () throws(SystemError) in
            try MessageSocket.receive(from: keeper)
        }
        guard let message else {
            throw SetupFailure(step: "hear from the keeper", code: EPIPE, text: "it has ended")
        }
        return message
    }

    // MARK: - Uplink

    /// Until one of the keeper's programs has made a default route, or there are no more.
    private mutating func awaitUplink() throws(SetupFailure) {
        var name = ""
        var resolver = ""
        var deadline: UInt64 = 0
        while true {
            var polled = pollfd(fd: keeper, events: Int16(POLLIN), revents: 0)
            if poll(&polled, 1, name.isEmpty ? -1 : Self.routePollMilliseconds) > 0 {
                let words = try hear().split(separator: " ")
                guard words.count == 4, words[0] == "uplink" else { throw Self.malformed }
                (name, resolver, uplinkWords) = (String(words[1]), String(words[3]), words)
                if name == "none" { return }
                deadline = Clock.monotonic() + Self.routeMilliseconds * 1_000_000
            } else if hasDefaultRoute() {
                uplink = name
                return try step("set the name server") { () throws(SystemError) in try setResolver(resolver) }
            } else if Clock.monotonic() > deadline {
                try step("answer the keeper") { () throws(SystemError) in
                    try MessageSocket.send("no-route \(name)", to: keeper)
                }
                deadline = .max
            }
        }
    }

    /// A line of /proc/net/route with destination and mask 0. proc(5).
    private func hasDefaultRoute() -> Bool {
        // Unreadable: it is asked again.
        guard let bytes = try? FileSystem.readFile("/proc/self/net/route") else { return false }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
            let fields = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
            return fields.count > 7 && fields[1] == "00000000" && fields[7] == "00000000"
        }
    }

    /// The host's servers may listen on its loopback only: the uplink's own address stands for them.
    private func setResolver(_ address: String) throws(SystemError) {
        guard FileSystem.exists("/etc/resolv.conf") else { return }
        let path = "\(execRoot)/resolv.conf"
        let text = String(decoding: try FileSystem.readFile("/etc/resolv.conf"), as: UTF8.self)
        let others = text.split(separator: "\n").filter { !$0.hasPrefix("nameserver") && !$0.hasPrefix("#") }
        let lines = ["nameserver \(address)"] + others.map(String.init)
        try FileSystem.replaceFile(path, with: Array((lines.joined(separator: "\n") + "\n").utf8), mode: 0o644)
        try check("mount", path: "/etc/resolv.conf") { mount(path, "/etc/resolv.conf", nil, UInt(MS_BIND), nil) }
    }
}
