import Images

/// A manifest or index as it came, with its digest checked.
public struct FetchedManifest: Sendable {
    public var descriptor: ContentDescriptor
    public var bytes: [UInt8]
    public var document: ManifestDocument
}

/// Everything an image is made of, for one platform.
public struct ImagePlan: Sendable {
    /// What the tag stands for: an index, or `image` itself.
    public var top: FetchedManifest
    public var image: FetchedManifest
    public var config: ContentDescriptor
    public var layers: [ContentDescriptor]
}

extension RegistryClient {
    private static let indexDepthMax = 2

    /// What a tag stands for now, without loading it (HEAD; GET where a registry answers HEAD without digest).
    public func resolve(_ reference: ImageReference) throws(RegistryError) -> ContentDescriptor {
        var call = manifestCall(reference)
        call.method = "HEAD"
        let response = try perform(call).response
        if let text = response.headers["docker-content-digest"], let digest = Digest(text),
            reference.digest == nil || reference.digest == digest,
            let size = response.headers["content-length"].flatMap({ Int64($0) }), size >= 0
        {
            return ContentDescriptor(mediaType: Self.mediaType(response) ?? "", digest: digest, size: size)
        }
        return try manifest(reference).descriptor
    }

    /// By digest when the reference has one, otherwise by tag.
    public func manifest(_ reference: ImageReference) throws(RegistryError) -> FetchedManifest {
        let answer = try perform(manifestCall(reference))
        return try Self.checked(answer, expected: reference.digest, size: nil)
    }

    private func manifest(_ name: RepositoryName, _ descriptor: ContentDescriptor) throws(RegistryError)
        -> FetchedManifest
    {
        guard descriptor.size <= Int64(ManifestDocument.byteCountMax) else {
            throw .tooLarge(what: "manifest \(descriptor.digest)", byteCountMax: ManifestDocument.byteCountMax)
        }
        var call = manifestCall(name, descriptor.digest.description, what: "\(name)@\(descriptor.digest)")
        call.capability = .pull
        return try Self.checked(perform(call), expected: descriptor.digest, size: descriptor.size)
    }

    private func manifestCall(_ reference: ImageReference) -> RegistryCall {
        let version = reference.digest?.description ?? reference.tag ?? ImageReference.defaultTag
        var call = manifestCall(RepositoryName(reference), version, what: reference.familiar)
        if reference.digest != nil { call.capability = .pull }
        return call
    }

    func manifestCall(_ name: RepositoryName, _ version: String, what: String) -> RegistryCall {
        var call = RegistryCall(name, "manifests/\(version)", what: what)
        for type in MediaTypes.accept { call.headers.add("accept", type) }
        call.answerByteCountMax = ManifestDocument.byteCountMax
        return call
    }

    static func mediaType(_ response: HTTPResponse) -> String? {
        response.headers["content-type"].map { type in
            type.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        }
    }

    private static func checked(
        _ answer: RegistryAnswer, expected: Digest?, size: Int64?
    ) throws(RegistryError) -> FetchedManifest {
        let response = answer.response
        let digest = Digest.sha256(of: response.body)
        let said = response.headers["docker-content-digest"].flatMap { Digest($0) }
        if let wanted = expected ?? said, wanted != digest {
            throw .digestMismatch(expected: wanted, actual: digest, what: "the manifest from \(answer.endpoint.host)")
        }
        if let size, size != Int64(response.body.count) {
            throw .wrongSize(expected: size, actual: Int64(response.body.count), what: "manifest \(digest)")
        }
        let type = mediaType(response)
        let document = try ManifestDocument.parse(response.body, contentType: type, host: answer.endpoint.host)
        let known = document.mediaType ?? type.flatMap { MediaTypes.manifests.contains($0) ? $0 : nil }
        let descriptor = ContentDescriptor(
            mediaType: known ?? (document.isIndex ? MediaTypes.index : MediaTypes.image), digest: digest,
            size: Int64(response.body.count))
        return FetchedManifest(descriptor: descriptor, bytes: response.body, document: document)
    }

    /// Reads manifests until it is clear what an image for `platform` is made of.
    public func plan(_ reference: ImageReference, platform: ImagePlatform) throws(RegistryError) -> ImagePlan {
        let top = try manifest(reference)
        var image = top
        for _ in 0..<Self.indexDepthMax {
            guard let manifests = image.document.manifests else { break }
            let chosen = try ImagePlatform.choose(platform, among: manifests)
            image = try manifest(RepositoryName(reference), chosen)
        }
        guard let config = image.document.config, let layers = image.document.layers else {
            throw .unsupported("indexes in indexes in indexes (\(reference.familiar))")
        }
        if let foreign = layers.first(where: { $0.mediaType.contains("foreign") && $0.urls?.isEmpty == false }) {
            throw .unsupported("layers that only their maker may give out (\(foreign.digest))")
        }
        return ImagePlan(top: top, image: image, config: config, layers: layers)
    }

    /// A small blob, such as a configuration.
    public func blob(
        _ descriptor: ContentDescriptor, _ name: RepositoryName, byteCountMax: Int = 8 << 20
    ) throws(RegistryError) -> [UInt8] {
        guard descriptor.size <= Int64(byteCountMax) else {
            throw .tooLarge(what: "blob \(descriptor.digest)", byteCountMax: byteCountMax)
        }
        var bytes: [UInt8] = []
        try fetchBlob(descriptor, name) { piece throws(RegistryError) in bytes += piece }
        return bytes
    }
}
