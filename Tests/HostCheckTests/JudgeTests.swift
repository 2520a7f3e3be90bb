import ContainerNetwork
import InternetAddress
import Testing

@testable import HostCheck

@Suite("Findings from facts")
struct JudgeTests {
    /// A host on which nothing is wrong.
    static let sound: HostFacts = {
        var facts = HostFacts()
        facts.kernel.release = "6.1.0-18-amd64"
        facts.kernel.namespaces = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
        facts.kernel.time = 1_800_000_000
        for feature in KernelFeature.allCases { facts.kernel.features[feature] = .present }
        facts.cgroups.hasVersion2 = true
        facts.cgroups.controllers2 = ["cpu", "memory", "pids"]
        facts.network.uplinks = [HostFacts.Uplink(name: "eth0", mtu: 1500)]
        facts.network.forwardsGlobally4 = false
        facts.network.forwardsGlobally6 = false
        facts.network.hasForceForwarding6 = true
        facts.network.hasIPv6 = true
        facts.firewall.blocks = []
        facts.names.resolvers = [HostFacts.Resolver(address: "127.0.0.1", answers: true)]
        facts.users.isRoot = true
        facts.users.namespacesMax = 1000
        var storage = HostFacts.Storage(purpose: "data root", path: "/var/lib/gantry", fileSystem: "ext4")
        (storage.freeBytes, storage.totalBytes) = (100 << 30, 200 << 30)
        (storage.freeInodes, storage.totalInodes) = (1_000_000, 2_000_000)
        facts.storage = [storage]
        return facts
    }()

    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let code: String
        let level: Finding.Level
        let change: @Sendable (inout HostFacts) -> Void

        init(_ code: String, _ level: Finding.Level, _ change: @escaping @Sendable (inout HostFacts) -> Void) {
            testDescription = "\(code) \(level)"
            self.code = code
            self.level = level
            self.change = change
        }
    }

    static let cases: [Case] = [
        Case("kernel.version", .problem) { $0.kernel.release = "4.19.0" },
        Case("kernel.version", .warning) { $0.kernel.release = "5.10.0-28-amd64" },
        Case("kernel.version", .note) { $0.kernel.release = "odd" },
        Case("kernel.namespaces", .problem) { $0.kernel.namespaces.remove("net") },
        Case("kernel.namespaces", .warning) { $0.kernel.namespaces.remove("user") },
        Case("kernel.calls", .problem) { $0.kernel.missingCalls = ["clone3"] },
        Case("kernel.calls", .warning) { $0.kernel.missingCalls = ["mount_setattr"] },
        Case("kernel.features", .problem) { $0.kernel.features[.overlay] = .absent },
        Case("kernel.features", .warning) { $0.kernel.features[.nftNumgen] = .absent },
        Case("kernel.features", .note) { $0.kernel.features[.ipvlan] = .absent },
        Case("kernel.features", .note) { $0.kernel.features[.veth] = .unknown },
        Case("kernel.clock", .warning) { $0.kernel.time = 1_000_000 },
        Case("cgroups.missing", .problem) { $0.cgroups = HostFacts.Cgroups() },
        Case("cgroups.controllers", .warning) { $0.cgroups.controllers2.remove("memory") },
        Case("cgroups.delegation", .warning) { $0.users.isRoot = false },
        Case("cgroups.swap", .note) { $0.cgroups.accountsSwap = false },
        Case("network.uplink", .warning) { $0.network.uplinks = [] },
        Case("network.mtu", .note) { $0.network.uplinks[0].mtu = 1400 },
        Case("network.mtu", .warning) { $0.network.uplinks[0].mtu = 1200 },
        Case("network.ipv6", .note) { $0.network.hasIPv6 = false },
        Case("network.forwarding6", .note) { $0.network.hasForceForwarding6 = false },
        Case("network.bridge", .problem) { $0.network.bridges = [bridge(isUp: false)] },
        Case("network.conflict", .problem) { facts in
            facts.network.bridges = [bridge()]
            facts.network.routes = [route("10.89.0.0/24")]
        },
        Case("network.conflict", .warning) { facts in
            facts.network.bridges = [bridge()]
            facts.network.routes = [route("10.0.0.0/8")]
        },
        Case("network.br-netfilter", .note) { $0.network.filtersBridges = true },
        Case("firewall.unread", .note) { $0.firewall.blocks = nil },
        Case("firewall.legacy", .note) { $0.firewall.legacyTables = ["nat"] },
        Case("firewall.blocked", .problem) { facts in
            facts.firewall.legacyTables = ["filter"]
            facts.firewall.legacyForwardDrops = true
        },
        Case("names.configuration", .warning) { $0.names.failure = "no such file" },
        Case("names.configuration", .warning) { $0.names.resolvers = [] },
        Case("names.resolvers", .warning) { $0.names.resolvers[0].answers = false },
        Case("users.namespaces", .note) { $0.users.namespacesMax = 0 },
        Case("users.namespaces", .problem) { facts in
            facts.users.isRoot = false
            facts.users.namespacesMax = 0
        },
        Case("users.unprivileged", .problem) { facts in
            facts.users.isRoot = false
            facts.users.unprivilegedClone = false
        },
        Case("users.apparmor", .problem) { facts in
            facts.users.isRoot = false
            facts.users.restrictedByAppArmor = true
        },
        Case("users.ids", .warning) { $0.users.isRoot = false },
        Case("users.helpers", .warning) { $0.users.isRoot = false },
        Case("storage.type", .problem) { $0.storage[0].fileSystem = "overlay" },
        Case("storage.d-type", .problem) { $0.storage[0].hasEntryTypes = false },
        Case("storage.space", .problem) { $0.storage[0].freeBytes = 1 << 20 },
        Case("storage.space", .warning) { $0.storage[0].freeBytes = 1 << 30 },
        Case("storage.inodes", .problem) { $0.storage[0].freeInodes = 10 },
        Case("limits.pid_max", .warning) { $0.limits.processesMax = 4096 },
        Case("limits.nofile", .warning) { $0.limits.openFilesMax = 1024 },
        Case("limits.conntrack", .problem) { facts in
            facts.limits.trackedConnections = 999
            facts.limits.trackedConnectionsMax = 1000
        },
    ]

    private static func bridge(isUp: Bool = true) -> HostFacts.Bridge {
        HostFacts.Bridge(
            name: "gn-1", network: "demo_default", isUp: isUp, subnets: [CIDR("10.89.0.0/24")].compactMap { $0 },
            forwards4: true)
    }

    private static func route(_ text: String) -> HostFacts.Route {
        HostFacts.Route(range: CIDR(text) ?? .v4(CIDR4(host: .any)), interface: "tun0")
    }

    @Test("A sound host has nothing wrong")
    func sound() {
        let findings = judge(Self.sound)
        #expect(findings.allSatisfy { $0.level == .ok }, "\(findings.filter { $0.level != .ok })")
        #expect(Set(findings.map(\.group)).count == 8)
    }

    @Test("Each finding has its level, says what it means, and how to mend it", arguments: cases)
    func finding(_ example: Case) throws {
        var facts = Self.sound
        example.change(&facts)
        let finding = try #require(judge(facts).first { $0.code == example.code && $0.level == example.level })
        if example.level >= .warning, example.code != "kernel.version" || example.level == .problem {
            #expect(finding.meaning != nil)
            #expect(!finding.mend.isEmpty)
        }
    }

    @Test(
        "A blocking chain names its keeper, and the keeper's command",
        arguments: [
            (ForwardBlock.Manager.ufw, "ufw route allow in on gn-1"),
            (.firewalld, "firewall-cmd --permanent --zone=trusted --add-interface=gn-1"),
            (.docker, "iptables -I DOCKER-USER -i gn-+ -j ACCEPT"),
            (.iptables, "iptables -I FORWARD -i gn-+ -j ACCEPT"),
            (.nftables, "nft insert rule inet filter FORWARD 'iifname \"gn-*\" accept'"),
        ])
    func blocks(_ manager: ForwardBlock.Manager, _ command: String) throws {
        var facts = Self.sound
        facts.firewall.bridgeNames = ["gn-1"]
        facts.firewall.blocks = [
            ForwardBlock(
                family: "inet", table: "filter", chain: "FORWARD", managers: [manager], directions: [.out, .in],
                networks: ["demo_default"])
        ]
        let finding = try #require(judge(facts).first { $0.code == "firewall.blocked" })
        #expect(finding.level == .problem)
        #expect(finding.title.contains(manager.title))
        #expect(finding.mend.first == command)
    }

    @Test("A kernel's build is told from its configuration and modules")
    func build() {
        let built = KernelBuild(
            configuration: KernelBuild.parse(
                configuration: "CONFIG_VETH=m\nCONFIG_BRIDGE=y\n# CONFIG_IPVLAN is not set"),
            loadable: KernelBuild.moduleNames(["kernel/drivers/net/veth.ko.xz", "kernel/net/bridge/br-netfilter.ko"]),
            loaded: ["macvlan"])
        #expect(built.presence(of: .veth) == .loadable)
        #expect(built.presence(of: .bridge) == .present)
        #expect(built.presence(of: .ipvlan) == .absent)
        #expect(built.presence(of: .macvlan) == .present)
        #expect(built.presence(of: .bridgeNetfilter) == .loadable)
        #expect(KernelBuild(configuration: nil).presence(of: .veth) == .unknown)
    }

    @Test("Sizes have few digits")
    func sizes() {
        #expect(sizeText(12) == "12 B")
        #expect(sizeText(1536) == "1.5 KiB")
        #expect(sizeText(107_374_182_400) == "100.0 GiB")
        #expect(sizeText(.max).hasSuffix("TiB"))
    }

    @Test("This host can be read, and reading it changes nothing")
    func reads() {
        let facts = readHost(HostCheckOptions(dataRoot: "/nowhere/at/all", execRoot: "/run", asksResolvers: false))
        #expect(!facts.kernel.release.isEmpty)
        #expect(facts.kernel.missingCalls.isEmpty)
        #expect(facts.storage.count == 2)
        #expect(facts.names.resolvers.allSatisfy { $0.answers == nil })
        #expect(!judge(facts).isEmpty)
    }
}
