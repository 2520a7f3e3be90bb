import FoundationEssentials
import LinuxSystem

/// The store's list of images, one file replaced as a whole: what is not in it does not exist.
struct ImageIndex: Codable, Equatable, Sendable {
    struct Entry: Codable, Equatable, Sendable {
        /// Digest of the configuration.
        var id: Digest
        var manifest: Digest
        /// Canonical names.
        var names: [String]
        var byteCount: UInt64
    }

    var schemaVersion = 1
    var images: [Entry] = []

    static func read(_ path: String) throws(ImageError) -> ImageIndex {
        guard FileSystem.exists(path) else { return ImageIndex() }
        let bytes = try converting { () throws(SystemError) in try FileSystem.readFile(path) }
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

    /// Adds an image, or gives the one that is there the names; a name belongs to one image only.
    mutating func add(_ entry: Entry) {
        for index in images.indices { images[index].names.removeAll { entry.names.contains($0) } }
        if let index = images.firstIndex(where: { $0.id == entry.id }) {
            images[index].names = Set(images[index].names).union(entry.names).sorted()
        } else {
            images.append(entry)
        }
        images.sort { $0.id < $1.id }
    }
}
