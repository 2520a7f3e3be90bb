import FoundationEssentials
import Glibc
import LinuxSystem

/// The store's list of images, one file replaced as a whole: what is not in it does not exist.
struct ImageIndex: Codable, Equatable, Sendable {
    struct Entry: Codable, Equatable, Sendable {
        /// Digest of the configuration.
        var id: Digest
        var manifest: Digest
        /// Sorted by canonical name, and written so.
        var references: [ImageReference]
        var byteCount: UInt64
        /// Bottom first. nil in an index of an older Gantry, which looked into the manifests instead.
        var layers: [Layer]?
        /// Seconds since 1970 when it was given a name last; nil when it never was, and before Gantry noted it.
        var namedSeconds: Int64?

        enum CodingKeys: String, CodingKey {
            case id, manifest, byteCount, layers, namedSeconds
            case references = "names"
        }
    }

    /// A layer of an image, so that lists, disk usage and collections read no other file.
    struct Layer: Codable, Equatable, Sendable {
        var diffID: Digest
        /// The layer as it came.
        var blob: Digest
        var blobByteCount: UInt64
        /// Of the uncompressed tar.
        var tarByteCount: UInt64
        /// Of file content.
        var byteCount: UInt64
    }

    static let byteCountMax = 64 << 20

    var schemaVersion = 1
    var images: [Entry] = []

    var references: [ImageReference] { images.flatMap(\.references) }

    static func read(_ path: String) throws(ImageError) -> ImageIndex {
        guard FileSystem.exists(path) else { return ImageIndex() }
        let bytes = try converting { () throws(SystemError) in
            try FileSystem.readFile(path, byteCountMax: byteCountMax)
        }
        do {
            return try JSONDecoder().decode(ImageIndex.self, from: Data(bytes))
        } catch {
            throw .damaged("\(path): \(error)")
        }
    }

    func write(_ path: String, durable: Bool) throws(ImageError) {
        let bytes = try encodeJSON(self)
        try converting { () throws(SystemError) in
            try FileSystem.replaceFile(path, with: bytes, durable: durable)
        }
    }

    /// The image of a name. With a digest, the manifest's or the image's own, whatever the tag says.
    func entry(of reference: ImageReference) -> Entry? {
        images.first { entry in
            if entry.references.contains(reference) { return true }
            guard let digest = reference.digest, digest == entry.manifest || digest == entry.id else { return false }
            return entry.references.contains { $0.canonicalName == reference.canonicalName }
        }
    }

    /// Adds an image, or gives the one that is there the names; a name belongs to one image only.
    mutating func add(_ entry: Entry) {
        var entry = entry
        if !entry.references.isEmpty { entry.namedSeconds = Int64(time(nil)) }
        for index in images.indices { images[index].references.removeAll { entry.references.contains($0) } }
        if let index = images.firstIndex(where: { $0.id == entry.id }) {
            let references = Set(images[index].references).union(entry.references)
            images[index].references = references.sorted { $0.canonical < $1.canonical }
            images[index].layers = entry.layers ?? images[index].layers
            images[index].namedSeconds = entry.namedSeconds ?? images[index].namedSeconds
        } else {
            entry.references.sort { $0.canonical < $1.canonical }
            images.append(entry)
        }
        images.sort { $0.id < $1.id }
    }

    /// False when no image has the name.
    mutating func removeName(_ reference: ImageReference) -> Bool {
        for index in images.indices where images[index].references.contains(reference) {
            images[index].references.removeAll { $0 == reference }
            return true
        }
        return false
    }
}
