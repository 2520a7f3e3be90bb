import ContainerNetwork
import InternetAddress

/// What was read of a host, for `judge`. What could not be read is `nil` or empty.
public struct HostFacts: Equatable, Sendable {
    /// Whether the kernel has something.
    public enum Presence: String, Equatable, Sendable {
        case present
        /// A module that the kernel loads when it is first used.
        case loadable
        case absent
        case unknown
    }

    public struct Kernel: Equatable, Sendable {
        /// As in uname(2), e.g. `6.1.0-18-amd64`.
        public var release = ""
        /// By the names in `KernelFeature`.
        public var features: [KernelFeature: Presence] = [:]
        /// Of namespaces(7), e.g. `net`.
        public var namespaces: Set<String> = []
        public var missingCalls: [String] = []
        /// Seconds since 1970 by the host's clock.
        public var time: Int64 = 0

        public init() {}
    }

    public struct Cgroups: Equatable, Sendable {
        public var hasVersion2 = false
        /// Controllers of the version-2 hierarchy at its root, and of version 1.
        public var controllers2: Set<String> = []
        public var controllers1: Set<String> = []
        /// Controllers that this user's part of the hierarchy has; `nil` for root.
        public var delegated: Set<String>?
        public var accountsSwap: Bool?

        public init() {}
    }

    /// An interface that a default route leaves by.
    public struct Uplink: Equatable, Sendable {
        public var name: String
        /// Bytes.
        public var mtu: Int
        public var forwards4: Bool?
        public var forwards6: Bool?

        public init(name: String, mtu: Int, forwards4: Bool? = nil, forwards6: Bool? = nil) {
            self.name = name
            self.mtu = mtu
            self.forwards4 = forwards4
            self.forwards6 = forwards6
        }
    }

    /// A bridge of Gantry's.
    public struct Bridge: Equatable, Sendable {
        public var name: String
        public var network: String
        public var isUp: Bool
        public var subnets: [CIDR]
        public var forwards4: Bool?

        public init(name: String, network: String, isUp: Bool, subnets: [CIDR], forwards4: Bool?) {
            self.name = name
            self.network = network
            self.isUp = isUp
            self.subnets = subnets
            self.forwards4 = forwards4
        }
    }

    public struct Route: Equatable, Sendable {
        public var range: CIDR
        public var interface: String

        public init(range: CIDR, interface: String) {
            self.range = range
            self.interface = interface
        }
    }

    public struct Network: Equatable, Sendable {
        public var uplinks: [Uplink] = []
        public var bridges: [Bridge] = []
        /// Without those of Gantry's bridges, and without default routes.
        public var routes: [Route] = []
        public var forwardsGlobally4: Bool?
        public var forwardsGlobally6: Bool?
        /// Linux 6.17: IPv6 forwards per interface.
        public var hasForceForwarding6 = false
        public var hasIPv6 = false
        /// `net.bridge.bridge-nf-call-iptables`; `nil`: br_netfilter is not loaded.
        public var filtersBridges: Bool?

        public init() {}
    }

    public struct Firewall: Equatable, Sendable {
        /// `nil`: it may not be read (CAP_NET_ADMIN).
        public var blocks: [ForwardBlock]?
        /// Tables of the older iptables in use.
        public var legacyTables: [String] = []
        /// The older iptables' FORWARD chain drops by its policy.
        public var legacyForwardDrops: Bool?
        /// A network's subnets, for commands that name them.
        public var subnets: [CIDR] = []
        public var bridgeNames: [String] = []

        public init() {}
    }

    public struct Resolver: Equatable, Sendable {
        /// As it is written in /etc/resolv.conf.
        public var address: String
        /// `nil`: not asked.
        public var answers: Bool?

        public init(address: String, answers: Bool?) {
            self.address = address
            self.answers = answers
        }
    }

    public struct Names: Equatable, Sendable {
        /// Why /etc/resolv.conf cannot be read.
        public var failure: String?
        public var linkTarget: String?
        public var resolvers: [Resolver] = []

        public init() {}
    }

    public struct Users: Equatable, Sendable {
        public var isRoot = false
        public var name = ""
        public var namespacesMax: Int?
        public var unprivilegedClone: Bool?
        public var restrictedByAppArmor: Bool?
        /// How many ids /etc/subuid and /etc/subgid give to the user.
        public var subordinateUsers = 0
        public var subordinateGroups = 0
        public var hasMapHelpers = false

        public init() {}
    }

    public struct Storage: Equatable, Sendable {
        /// What it is for: "data root".
        public var purpose: String
        public var path: String
        public var fileSystem: String
        public var freeBytes: UInt64
        public var totalBytes: UInt64
        public var freeInodes: UInt64
        public var totalInodes: UInt64
        /// Directory entries say what they are (overlayfs needs it); `nil`: not known.
        public var hasEntryTypes: Bool?

        public init(purpose: String, path: String, fileSystem: String) {
            self.purpose = purpose
            self.path = path
            self.fileSystem = fileSystem
            (freeBytes, totalBytes, freeInodes, totalInodes) = (0, 0, 0, 0)
        }
    }

    public struct Limits: Equatable, Sendable {
        public var processesMax: Int?
        public var openFilesMax: UInt64?
        public var inotifyInstances: Int?
        public var inotifyWatches: Int?
        public var keysMax: Int?
        public var trackedConnections: Int?
        public var trackedConnectionsMax: Int?

        public init() {}
    }

    public var kernel = Kernel()
    public var cgroups = Cgroups()
    public var network = Network()
    public var firewall = Firewall()
    public var names = Names()
    public var users = Users()
    public var storage: [Storage] = []
    public var limits = Limits()

    public init() {}
}

/// What a kernel may be built without.
public enum KernelFeature: String, CaseIterable, Sendable {
    case overlay, veth, bridge, nfTables, nftNAT, nftMasquerade, nftNumgen, nftHash, nftFIB, nftConntrack
    case macvlan, ipvlan, seccomp, bridgeNetfilter

    /// Of the kernel's configuration, without `CONFIG_`.
    public var option: String {
        switch self {
        case .overlay: "OVERLAY_FS"
        case .veth: "VETH"
        case .bridge: "BRIDGE"
        case .nfTables: "NF_TABLES"
        case .nftNAT: "NFT_NAT"
        case .nftMasquerade: "NFT_MASQ"
        case .nftNumgen: "NFT_NUMGEN"
        case .nftHash: "NFT_HASH"
        case .nftFIB: "NFT_FIB_INET"
        case .nftConntrack: "NFT_CT"
        case .macvlan: "MACVLAN"
        case .ipvlan: "IPVLAN"
        case .seccomp: "SECCOMP_FILTER"
        case .bridgeNetfilter: "BRIDGE_NETFILTER"
        }
    }

    /// Its module's file, without `.ko`; `nil`: never a module.
    public var module: String? {
        switch self {
        case .overlay: "overlay"
        case .veth: "veth"
        case .bridge: "bridge"
        case .nfTables: "nf_tables"
        case .nftNAT: "nft_nat"
        case .nftMasquerade: "nft_masq"
        case .nftNumgen: "nft_numgen"
        case .nftHash: "nft_hash"
        case .nftFIB: "nft_fib_inet"
        case .nftConntrack: "nft_ct"
        case .macvlan: "macvlan"
        case .ipvlan: "ipvlan"
        case .bridgeNetfilter: "br_netfilter"
        case .seccomp: nil
        }
    }
}
