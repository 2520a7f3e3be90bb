/// Where the options of a volume's driver `local` have its data kept.
public enum VolumePlace: Equatable, Sendable {
    /// In a folder of the engine's.
    case own
    /// In a folder of the host's: `type: none, o: bind, device: /folder`.
    case folder(String)
    /// Nowhere that the engine could: why not.
    case unsupported(String)

    private static let known: Set<String> = ["type", "o", "device"]
    /// What `type` is of a bind mount, which has none.
    private static let bindTypes: Set<String> = ["", "none", "bind"]
    private static let bindWords: Set<String> = ["bind", "rbind", "rw"]

    public init(_ options: [String: String]) {
        guard !options.isEmpty else {
            self = .own
            return
        }
        self = Self.fault(options).map { .unsupported($0) } ?? .folder(options["device"] ?? "")
    }

    private static func fault(_ options: [String: String]) -> String? {
        if let unknown = options.keys.filter({ !known.contains($0) }).min() {
            return "volume option '\(unknown)' is not supported; type, o and device are"
        }
        let (type, device) = (options["type"] ?? "", options["device"] ?? "")
        let words = (options["o"] ?? "").split(separator: ",").map(String.init)
        guard bindTypes.contains(type), words.contains("bind") || words.contains("rbind") else {
            return "a volume of type '\(type)' is not supported: its data is in a folder, the engine's or, with type "
                + "none, o bind and a device, another of the host; for memory use a tmpfs mount"
        }
        if let word = words.first(where: { !bindWords.contains($0) }) {
            return "volume option 'o' with '\(word)' is not supported; say it of the mount"
        }
        guard device.hasPrefix("/") else { return "a volume with o=bind needs a device, a folder's absolute path" }
        return nil
    }
}
