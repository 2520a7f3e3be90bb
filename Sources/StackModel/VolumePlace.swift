/// A file system that is a volume's data: mount(8)'s words.
public struct VolumeMount: Equatable, Sendable {
    /// `tmpfs`, `nfs`, `ext4`; `none` for a folder of the host's.
    public var type: String
    public var device: String
    public var options: [String]

    public init(type: String, device: String, options: [String]) {
        self.type = type
        self.device = device
        self.options = options
    }
}

/// Where the options of a volume's driver `local` have its data kept.
public enum VolumePlace: Equatable, Sendable {
    /// In a folder of the engine's.
    case own
    /// In a folder of the host's: `type: none, o: bind, device: /folder`.
    case folder(String)
    /// On what is mounted for as long as a container runs that has the volume.
    case mounted(VolumeMount)
    /// Nowhere that the engine could: why not.
    case unsupported(String)

    private static let known: Set<String> = ["type", "o", "device"]
    /// What `type` is of a bind mount, which has none.
    private static let bindTypes: Set<String> = ["", "none", "bind"]
    private static let bindWords: Set<String> = ["bind", "rbind"]

    public init(_ options: [String: String]) {
        if options.isEmpty {
            self = .own
        } else if let unknown = options.keys.filter({ !Self.known.contains($0) }).min() {
            self = .unsupported("volume option '\(unknown)' is not supported; type, o and device are")
        } else {
            let words = (options["o"] ?? "").split(separator: ",").map(String.init)
            self = Self.place(type: options["type"] ?? "", device: options["device"] ?? "", words)
        }
    }

    private static func place(type: String, device: String, _ words: [String]) -> VolumePlace {
        if words.contains(where: bindWords.contains) {
            guard device.hasPrefix("/") else {
                return .unsupported("a volume with o=bind needs a device, a folder's absolute path")
            }
            // Without further words nothing is to be mounted: containers get the folder itself.
            if words.allSatisfy({ bindWords.contains($0) || $0 == "rw" }) { return .folder(device) }
            return .mounted(VolumeMount(type: "none", device: device, options: words))
        }
        guard !bindTypes.contains(type) else {
            return .unsupported("a volume of type '\(type)' needs o=bind; others have a file system's type")
        }
        guard !device.isEmpty else { return .unsupported("a volume of type '\(type)' needs a device") }
        return .mounted(VolumeMount(type: type, device: device, options: words))
    }
}
