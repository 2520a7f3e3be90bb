import FoundationEssentials

/// A pointer to content (image-spec `descriptor.md`).
struct Descriptor: Codable, Equatable, Sendable {
    var mediaType: String?
    var digest: Digest
    var size: Int64
    var platform: Platform?
    var annotations: [String: String]?

    struct Platform: Codable, Equatable, Sendable {
        var architecture: String
        var os: String
        var variant: String?

        /// What this machine runs.
        static var host: Platform {
            #if arch(arm64)
                Platform(architecture: "arm64", os: "linux")
            #else
                Platform(architecture: "amd64", os: "linux")
            #endif
        }

        /// `linux/amd64`
        var name: String { "\(os)/\(architecture)" + (variant.map { "/\($0)" } ?? "") }

        func runs(on host: Platform) -> Bool { architecture == host.architecture && os == host.os }
    }

    /// Build provenance, not an image (buildkit's attestation storage).
    var isAttestation: Bool {
        annotations?["vnd.docker.reference.type"] != nil || platform?.architecture == "unknown"
    }
}

/// A manifest or an index: told apart by which list it has (media types may be missing, and lie: CVE-2021-41190).
struct ManifestDocument: Codable, Equatable, Sendable {
    var schemaVersion: Int
    var mediaType: String?
    var artifactType: String?
    var config: Descriptor?
    var layers: [Descriptor]?
    var manifests: [Descriptor]?
}

/// An element of `manifest.json` in Docker's archive.
struct DockerManifest: Codable, Equatable, Sendable {
    var config: String
    var repoTags: [String]?
    var layers: [String]?

    enum CodingKeys: String, CodingKey {
        case config = "Config"
        case repoTags = "RepoTags"
        case layers = "Layers"
    }
}

/// `oci-layout` (image-spec `image-layout.md`).
struct LayoutDocument: Codable {
    var imageLayoutVersion: String
}

enum MediaType {
    static let manifest = "application/vnd.oci.image.manifest.v1+json"
    static let index = "application/vnd.oci.image.index.v1+json"
    static let config = "application/vnd.oci.image.config.v1+json"
    static let configs: Set<String> = [config, "application/vnd.docker.container.image.v1+json"]
    static let indexes: Set<String> = [index, "application/vnd.docker.distribution.manifest.list.v2+json"]
    static let manifests: Set<String> = [manifest, "application/vnd.docker.distribution.manifest.v2+json"]

    static func layer(_ compression: Compression) -> String {
        switch compression {
        case .none: "application/vnd.oci.image.layer.v1.tar"
        case .gzip: "application/vnd.oci.image.layer.v1.tar+gzip"
        case .zstd: "application/vnd.oci.image.layer.v1.tar+zstd"
        }
    }
}

/// Decodes JSON of an archive; `what` names it in the error.
func decodeJSON<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8], what: String) throws(ImageError) -> Value {
    do {
        return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
        throw .archive(why: "\(what): \(describe(error))")
    } catch {
        throw .archive(why: "\(what): \(error)")
    }
}

/// Encodes one of our own documents, keys sorted so that equal values give equal bytes.
func encodeJSON(_ value: some Encodable) throws(ImageError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
        return Array(try encoder.encode(value))
    } catch {
        throw .archive(why: "cannot be written as JSON: \(error)")
    }
}

private func describe(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context) -> String {
        let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
        return path.isEmpty ? "" : " at \(path.prefix(200).debugDescription)"
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(key.stringValue.debugDescription) is missing\(place(context))"
    case .valueNotFound(_, let context): return "null is not allowed\(place(context))"
    case .typeMismatch(_, let context): return "wrong type of value\(place(context))"
    case .dataCorrupted(let context): return "\(context.debugDescription.prefix(300))\(place(context))"
    @unknown default: return "malformed"
    }
}
