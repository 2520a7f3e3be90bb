import ArgumentParser
import ContainerRuntime
import LinuxSystem

struct FeaturesCommand: OCICommand {
    static let configuration = CommandConfiguration(
        commandName: "features", abstract: "Print what this runtime can do.")

    func run(_ context: Context) throws { print(try JSON.encode(Features())) }
}

/// What `config.json` may ask for, taken from the tables that carry it out; what the host's kernel lacks is told when a
/// container asks for it. <https://github.com/opencontainers/runtime-spec/blob/main/features.md>
struct Features: Encodable {
    struct Enabled: Encodable { var enabled: Bool }

    struct Cgroup: Encodable {
        var v1 = true
        var v2 = true
        var systemd = false
        var systemdUser = false
        var rdma = true
    }

    struct Seccomp: Encodable {
        var enabled = true
        var actions = SeccompNames.actions
        var operators = SeccompNames.operators
        var archs = SeccompNames.architectures
        var knownFlags = SeccompNames.flags
        var supportedFlags = SeccompNames.flagsOfKernel
    }

    struct MemoryPolicy: Encodable {
        var modes = MemoryPolicyNames.modes
        var flags = MemoryPolicyNames.flags
    }

    struct MountExtensions: Encodable { var idmap = Enabled(enabled: true) }

    struct Linux: Encodable {
        var namespaces = RuntimeSpec.Namespace.Kind.allCases.map(\.rawValue).sorted()
        var capabilities = CapabilityNames.all()
        var cgroup = Cgroup()
        var seccomp = Seccomp()
        var apparmor = Enabled(enabled: true)
        var selinux = Enabled(enabled: true)
        var intelRdt = Enabled(enabled: false)
        var memoryPolicy = MemoryPolicy()
        var mountExtensions = MountExtensions()
        var netDevices = Enabled(enabled: false)
    }

    var ociVersionMin = "1.0.0"
    var ociVersionMax = GantryOCI.specification
    var hooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    var mountOptions = MountOptionNames.all
    var linux = Linux()
    var annotations = ["org.gantry.version": GantryOCI.version]
    var potentiallyUnsafeConfigAnnotations: [String] = []
}
