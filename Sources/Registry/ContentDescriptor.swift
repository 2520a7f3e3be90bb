import Images

/// A pointer to content (image-spec, `descriptor.md`).
public struct ContentDescriptor: Codable, Equatable, Sendable {
    public var mediaType: String
    public var digest: Digest
    /// Bytes.
    public var size: Int64
    public var platform: ImagePlatform?
    public var artifactType: String?
    public var annotations: [String: String]?
    /// Other places of content that the registry does not have.
    public var urls: [String]?

    public init(mediaType: String, digest: Digest, size: Int64) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
    }

    /// Build provenance, not an image (buildkit's attestation storage).
    var isAttestation: Bool {
        annotations?["vnd.docker.reference.type"] != nil || platform?.os == "unknown"
            || platform?.architecture == "unknown"
    }
}

/// A manifest or an index, checked: told apart by which list it has, because media types may be missing, and lie
/// (CVE-2021-41190).
public struct ManifestDocument: Decodable, Equatable, Sendable {
    public var mediaType: String?
    public var artifactType: String?
    public var config: ContentDescriptor?
    public var layers: [ContentDescriptor]?
    public var manifests: [ContentDescriptor]?
    public var subject: ContentDescriptor?
    var schemaVersion: Int

    public var isIndex: Bool { manifests != nil }

    static let byteCountMax = 4 << 20
    private static let entryCountMax = 4096

    /// - Parameter contentType: of the answer, which must not contradict.
    public static func parse(
        _ bytes: [UInt8], contentType: String?, host: String
    ) throws(RegistryError) -> ManifestDocument {
        let what = "a manifest"
        let document = try decodeDocument(ManifestDocument.self, bytes, host: host, what: what)
        func bad(_ why: String) -> RegistryError { .invalidResponse(host: host, why: "\(what) \(why)") }
        guard document.schemaVersion == 2 else {
            throw .unsupported("manifests of version \(document.schemaVersion) (\(host)); push the image again")
        }
        let isImage = document.config != nil && document.layers != nil
        guard isImage != document.isIndex, document.isIndex || document.layers != nil else {
            throw bad("is neither an image nor an index, or both")
        }
        let entries = (document.layers ?? []) + (document.manifests ?? []) + [document.config].compactMap { $0 }
        guard entries.count <= entryCountMax else { throw bad("has more than \(entryCountMax) entries") }
        guard entries.allSatisfy({ $0.size >= 0 }) else { throw bad("has a negative size") }
        let types = [document.mediaType, contentType].compactMap { $0 }.filter(MediaTypes.manifests.contains)
        guard Set(types).count <= 1 else { throw bad("says it is \(types[0]), and is sent as \(types[1])") }
        if let type = types.first, MediaTypes.indexes.contains(type) != document.isIndex {
            throw bad("is not the \(type) it says it is")
        }
        return document
    }
}

/// The part of an image's configuration that a pull needs (image-spec, `config.md`).
public struct RootFileSystem: Sendable {
    private struct Document: Decodable {
        struct Layers: Decodable {
            var diffIDs: [Digest]?
            enum CodingKeys: String, CodingKey { case diffIDs = "diff_ids" }
        }
        var rootfs: Layers?
    }

    /// Digests of the layers' content, bottom first.
    public let diffIDs: [Digest]

    public init(config: [UInt8], host: String) throws(RegistryError) {
        let document = try decodeDocument(Document.self, config, host: host, what: "a configuration")
        diffIDs = document.rootfs?.diffIDs ?? []
    }
}

public enum MediaTypes {
    public static let image = "application/vnd.oci.image.manifest.v1+json"
    static let index = "application/vnd.oci.image.index.v1+json"
    static let dockerImage = "application/vnd.docker.distribution.manifest.v2+json"
    static let dockerList = "application/vnd.docker.distribution.manifest.list.v2+json"
    static let indexes: Set<String> = [index, dockerList]
    static let manifests: Set<String> = [image, index, dockerImage, dockerList]
    /// What is accepted, the best first.
    static let accept = [index, dockerList, image, dockerImage]
}
