/// An operating system and a processor: `linux/arm64/v8`. OCI image specification, image index, platform.
public struct Platform: Hashable, Sendable, CustomStringConvertible {
    public var system: String
    public var architecture: String
    public var variant: String

    public init(system: String = "linux", architecture: String, variant: String = "") {
        self.system = system
        self.architecture = architecture
        self.variant = variant
    }

    /// `SYSTEM`, `ARCHITECTURE`, `SYSTEM/ARCHITECTURE` or `SYSTEM/ARCHITECTURE/VARIANT`, as containerd reads it; what
    /// is not said is `host`'s. `nil` for anything else.
    public init?(parsing text: String, host: Platform) {
        let parts = text.lowercased().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), parts.allSatisfy(Self.isPart) else { return nil }
        if parts.count == 1 {
            self = host
            if Self.systems.contains(parts[0]) {
                system = parts[0]
            } else {
                (architecture, variant) = Self.normalized(parts[0], "")
                guard Self.architectures.contains(architecture) else { return nil }
            }
            return
        }
        system = parts[0] == "macos" ? "darwin" : parts[0]
        (architecture, variant) = Self.normalized(parts[1], parts.count == 3 ? parts[2] : "")
    }

    private static func isPart(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || [0x2D, 0x2E, 0x5F].contains($0)
            }
    }

    private static func normalized(_ architecture: String, _ variant: String) -> (String, String) {
        switch architecture {
        case "x86_64", "x86-64", "amd64": ("amd64", variant == "v1" ? "" : variant)
        case "aarch64", "arm64": ("arm64", variant == "8" || variant == "v8" ? "" : variant)
        case "armhf": ("arm", "v7")
        case "armel": ("arm", "v6")
        case "arm": ("arm", variant.isEmpty || variant == "7" ? "v7" : variant.first == "v" ? variant : "v" + variant)
        case "i386", "386": ("386", "")
        default: (architecture, variant)
        }
    }

    private static let systems: Set<String> = ["linux", "darwin", "windows", "freebsd", "netbsd", "openbsd", "wasip1"]
    private static let architectures: Set<String> = [
        "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
        "riscv64",
        "s390x", "wasm",
    ]

    public var description: String {
        "\(system)/\(architecture)" + (variant.isEmpty ? "" : "/\(variant)")
    }
}
