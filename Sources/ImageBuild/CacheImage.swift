import Images

/// A build's steps as an image, for `cache_to` and `cache_from`: its layers are theirs, and a label says which step
/// made which.
public enum CacheImage {
    static let label = "gantry.build.steps"
    private static let stepCountMax = 100_000

    /// The image that brings the steps elsewhere, without a name yet.
    public static func make(
        _ records: [Digest: BuildRecord], in store: ImageStore, reference: ImageReference
    ) throws(ImageError) -> Image {
        var layers: [BuiltLayer] = []
        var seen: Set<Digest> = []
        var lines: [String] = []
        for (key, record) in records.sorted(by: { $0.key < $1.key }) {
            var words = [key.hex, record.key.hex, record.created]
            if let layer = record.layer {
                words.append(layer.diffID.hex)
                if seen.insert(layer.diffID).inserted { layers.append(layer) }
            }
            lines.append(words.joined(separator: " "))
        }
        var config = ImageConfig(architecture: "", os: "", rootfs: ImageConfig.RootFS(diffIDs: []))
        config.config.labels[label] = lines.joined(separator: "\n")
        return try store.addBuilt(config, on: nil, layers: layers, references: [reference])
    }

    /// The steps that an image brings; nil when it is none of these images. What it says of layers that it does not
    /// have is passed over.
    public static func records(of image: Image) -> [Digest: BuildRecord]? {
        guard let text = image.config.config.labels[label] else { return nil }
        let own = Set(image.layers.map(\.diffID))
        var records: [Digest: BuildRecord] = [:]
        for line in text.split(separator: "\n").prefix(stepCountMax) {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3 || words.count == 4, let key = Digest(hex: words[0]),
                let canonical = Digest(hex: words[1])
            else { continue }
            var layer: BuiltLayer?
            if words.count == 4 {
                guard let diffID = Digest(hex: words[3]), own.contains(diffID) else { continue }
                // How large it is only the store can say.
                layer = BuiltLayer(diffID: diffID, tarByteCount: 0, byteCount: 0)
            }
            records[key] = BuildRecord(key: canonical, layer: layer, created: words[2])
        }
        return records
    }
}
