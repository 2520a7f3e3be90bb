import CLinux
import ContainerNetwork
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

/// Where an engine keeps things, and what may be asked of the network.
public struct HostCheckOptions: Equatable, Sendable {
    public var dataRoot: String
    public var execRoot: String
    /// Asks the host's resolvers; false leaves the network alone.
    public var asksResolvers: Bool

    public init(dataRoot: String, execRoot: String, asksResolvers: Bool = true) {
        self.dataRoot = dataRoot
        self.execRoot = execRoot
        self.asksResolvers = asksResolvers
    }
}

/// Reads a host. Changes nothing and loads no module of the kernel; whatever cannot be read is left out.
public func readHost(_ options: HostCheckOptions) -> HostFacts {
    var facts = HostFacts()
    facts.kernel = readKernel()
    facts.users = readUsers()
    facts.cgroups = readCgroups(isRoot: facts.users.isRoot)
    let links = RouteFacts()
    facts.network = links.network
    facts.firewall = readFirewall(links)
    facts.names = readNames(asks: options.asksResolvers)
    facts.storage = [
        readStorage("data root", options.dataRoot), readStorage("exec root", options.execRoot),
    ].compactMap { $0 }
    facts.limits = readLimits()
    return facts
}

// MARK: files

/// `nil` when it cannot be read.
func readText(_ path: String) -> String? {
    // Whatever the reason: nothing is known about it.
    (try? FileSystem.readFile(path)).map { String(decoding: $0, as: UTF8.self) }
}

func readLines(_ path: String) -> [Substring] { readText(path)?.split(separator: "\n") ?? [] }

/// The first number in a file.
func readNumber(_ path: String) -> Int? {
    readText(path)?.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) }
}

func readSwitch(_ path: String) -> Bool? { readNumber(path).map { $0 != 0 } }

/// `nil`: no link, or not there.
func readLinkTarget(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

// MARK: kernel

private func readKernel() -> HostFacts.Kernel {
    var kernel = HostFacts.Kernel()
    kernel.release =
        readText("/proc/sys/kernel/osrelease")?.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]
    where FileSystem.exists("/proc/self/ns/\(name)") {
        kernel.namespaces.insert(name)
    }
    let calls = [
        ("openat2", gantry_has_openat2()), ("clone3", gantry_has_clone3()), ("pidfd_open", gantry_has_pidfd()),
        ("mount_setattr", gantry_has_mount_setattr()),
    ]
    kernel.missingCalls = calls.filter { $0.1 == 0 }.map(\.0)
    let build = KernelBuild(release: kernel.release)
    for feature in KernelFeature.allCases { kernel.features[feature] = build.presence(of: feature) }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    kernel.time = Int64(now.tv_sec)
    return kernel
}

/// How a kernel was built, from what says it: its configuration, its modules, and what is in use.
struct KernelBuild {
    /// Option, without `CONFIG_`, to `y` or `m`; `nil`: not readable.
    var configuration: [String: String]?
    var builtIn: Set<String> = []
    var loadable: Set<String> = []
    var loaded: Set<String> = []
    var hasModules = false

    init(release: String) {
        configuration = Self.readConfiguration(release)
        let folder = "/lib/modules/\(release)"
        builtIn = Self.moduleNames(readLines("\(folder)/modules.builtin"))
        loadable = Self.moduleNames(readLines("\(folder)/modules.dep").map { $0.prefix { $0 != ":" } })
        hasModules = !builtIn.isEmpty || !loadable.isEmpty
        // A folder for each that is loaded, and for many that are built in. Gone is as good as empty.
        loaded = Set((try? FileSystem.list("/sys/module")) ?? [])
        let fileSystems = readLines("/proc/filesystems").flatMap { $0.split(separator: "\t") }
        if fileSystems.contains("overlay") { loaded.insert("overlay") }
    }

    init(configuration: [String: String]?, loadable: Set<String> = [], loaded: Set<String> = []) {
        self.configuration = configuration
        self.loadable = loadable
        self.loaded = loaded
        hasModules = !loadable.isEmpty
    }

    func presence(of feature: KernelFeature) -> HostFacts.Presence {
        if let module = feature.module, loaded.contains(module) || builtIn.contains(module) { return .present }
        if configuration?[feature.option] == "y" { return .present }
        if let module = feature.module, loadable.contains(module) { return .loadable }
        // Built as a module, but its file is not there: another package of the distribution has it.
        if configuration?[feature.option] == "m" { return hasModules ? .absent : .unknown }
        return configuration != nil ? .absent : .unknown
    }

    /// `kernel/drivers/net/veth.ko.xz` is `veth`.
    static func moduleNames(_ paths: [Substring]) -> Set<String> {
        Set(
            paths.compactMap { path in
                path.split(separator: "/").last?.split(separator: ".").first.map {
                    String($0.map { $0 == "-" ? "_" : $0 })
                }
            })
    }

    private static func readConfiguration(_ release: String) -> [String: String]? {
        let text = readText("/boot/config-\(release)") ?? readCompressedConfiguration()
        guard let text, !text.isEmpty else { return nil }
        return parse(configuration: text)
    }

    static func parse(configuration text: String) -> [String: String] {
        var options: [String: String] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("CONFIG_") {
            let parts = line.dropFirst("CONFIG_".count).split(separator: "=", maxSplits: 1)
            if parts.count == 2 { options[String(parts[0])] = String(parts[1]) }
        }
        return options
    }

    /// /proc/config.gz by way of zcat(1); only the lines that are wanted.
    private static func readCompressedConfiguration() -> String? {
        guard FileSystem.exists("/proc/config.gz") else { return nil }
        let options = KernelFeature.allCases.map(\.option).joined(separator: "|")
        return runShell("zcat /proc/config.gz | grep -E '^CONFIG_(\(options))='")
    }
}

/// What a command of the shell prints, 1 KiB of it at most; `nil` when it fails or takes longer than two seconds.
func runShell(_ command: String) -> String? {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    guard
        // A host without a shell is one of which less is known.
        let outcome = try? HelperProgram.run(
            path: "/bin/sh", arguments: ["sh", "-c", command], environment: [path], input: [],
            timeoutMilliseconds: 2000), outcome.end == .exited(0)
    else { return nil }
    return String(decoding: outcome.output, as: UTF8.self)
}
