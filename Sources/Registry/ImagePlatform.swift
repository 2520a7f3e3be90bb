import LinuxSystem

/// For which machines an image is (image-spec, `image-index.md`).
public struct ImagePlatform: Codable, Hashable, Sendable, CustomStringConvertible {
    public var os: String
    public var architecture: String
    public var variant: String?

    public init(os: String, architecture: String, variant: String? = nil) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
    }

    /// `linux/arm64/v8`; the usual other names of architectures are known (`x86_64`, `aarch64`).
    public init(parsing text: String) throws(RegistryError) {
        let parts = text.lowercased().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let isSafe = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.count <= 32
                && part.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f }
        }
        guard isSafe, (2...3).contains(parts.count) else {
            throw .invalidReference("bad platform \(harmless(text)): it is OS/ARCHITECTURE, such as linux/arm64")
        }
        let names = ["x86_64": "amd64", "aarch64": "arm64"]
        self.init(os: parts[0], architecture: names[parts[1]] ?? parts[1], variant: parts.count == 3 ? parts[2] : nil)
    }

    public var description: String { "\(os)/\(architecture)" + (variant.map { "/\($0)" } ?? "") }

    /// What this machine runs best.
    public static var host: ImagePlatform {
        #if arch(arm64)
            ImagePlatform(os: "linux", architecture: "arm64", variant: "v8")
        #else
            ImagePlatform(os: "linux", architecture: "amd64", variant: hostVariant)
        #endif
    }

    /// x86-64-v1 to v3 by the flags of /proc/cpuinfo (x86-64 psABI, "Micro-Architecture Levels").
    private static let hostVariant: String = {
        do throws(SystemError) {
            let text = String(decoding: try FileSystem.readFile("/proc/cpuinfo"), as: UTF8.self)
            return variant(ofFlags: text.split(separator: "\n").first { $0.hasPrefix("flags") } ?? "")
        } catch {
            // Without /proc: what every machine runs.
            return "v1"
        }
    }()

    static func variant(ofFlags line: Substring) -> String {
        let flags = Set(line.split(separator: " "))
        guard flags.isSuperset(of: ["cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"]) else { return "v1" }
        guard flags.isSuperset(of: ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"]) else {
            return "v2"
        }
        return flags.isSuperset(of: ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]) ? "v4" : "v3"
    }

    /// How well an image for `self` runs on `wanted`: nil not at all, otherwise the higher the better.
    func rank(on wanted: ImagePlatform) -> Int? {
        guard os == wanted.os, architecture == wanted.architecture else { return nil }
        let own = level
        let limit = wanted.level
        guard let own, let limit else { return variant == wanted.variant ? 0 : nil }
        return own <= limit ? own : nil
    }

    /// The number of a variant: what runs on one runs on the higher ones. nil for an unknown kind.
    private var level: Int? {
        guard let variant, !variant.isEmpty else {
            switch architecture {
            case "arm64": return 8
            case "arm": return 7
            default: return 1
            }
        }
        return variant.hasPrefix("v") ? Int(variant.dropFirst()) : nil
    }

    /// The best entry of an index; the first of equals. Entries without a platform count only when there is one.
    static func choose(
        _ wanted: ImagePlatform, among manifests: [ContentDescriptor]
    ) throws(RegistryError) -> ContentDescriptor {
        let images = manifests.filter { !$0.isAttestation }
        if images.count == 1, let only = images.first, only.platform == nil { return only }
        var best: (rank: Int, image: ContentDescriptor)?
        for image in images {
            guard let rank = image.platform?.rank(on: wanted), rank > best?.rank ?? -1 else { continue }
            best = (rank, image)
        }
        guard let best else {
            let available = Set(images.compactMap { $0.platform.map { harmless($0.description) } })
            throw .noPlatform(wanted: wanted.description, available: available.sorted().prefix(12).map { $0 })
        }
        return best.image
    }
}
