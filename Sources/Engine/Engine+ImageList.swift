import EngineWire
import Images
import LinuxSystem
import StackModel

/// Lists and descriptions of images.
extension Engine {
    /// `GET /images/json`, newest first.
    public func imageSummaries(
        filters: [String: [String]] = [:], sharedSize: Bool = false
    ) async throws(EngineError) -> [ImageSummary] {
        let filters = try resolved(filters, known: ImageFilters.listKeys)
        return try await onImages { images throws(ImageError) in
            let shared = sharedSize ? images.usage().images : []
            let sharedBytes = Dictionary(shared.map { ($0.id, $0.sharedByteCount) }) { first, _ in first }
            return try images.images().compactMap { image in
                guard filters.matches(createdSeconds: image.createdSeconds, labels: image.config.config.labels),
                    let names = filters.names(image.tagNames)
                else { return nil }
                var summary = ImageSummary(image)
                summary.RepoTags = names
                summary.RepoDigests = filters.digestNames(summary.RepoDigests ?? [])
                if let bytes = sharedBytes[image.id] { summary.SharedSize = Int64(clamping: bytes) }
                return summary
            }
        }
    }

    /// Filters with the images that `before` and `since` name looked up.
    func resolved(_ values: [String: [String]], known: Set<String>) throws(EngineError) -> ImageFilters {
        var filters = try ImageFilters(values, known: known)
        for name in values["before"] ?? [] {
            filters.before = min(filters.before ?? .max, try image(name).createdSeconds)
        }
        for name in values["since"] ?? [] {
            filters.since = max(filters.since ?? .min, try image(name).createdSeconds)
        }
        return filters
    }

    /// `GET /images/{name}/json`; `name` is a name, an id or a unique beginning of one.
    public func imageDetails(_ name: String) async throws(EngineError) -> ImageDetails {
        ImageDetails(try await onImages { images throws(ImageError) in try images.image(name) })
    }

    /// `GET /images/{name}/history`, newest step first.
    public func imageHistory(_ name: String) async throws(EngineError) -> [ImageHistoryItem] {
        try await onImages { images throws(ImageError) in
            let image = try images.image(name)
            return try images.history(of: image).enumerated().map { index, step in
                ImageHistoryItem(
                    Id: index == 0 ? image.id.description : "<missing>", Created: step.step.createdSeconds,
                    CreatedBy: step.step.createdBy ?? "", Tags: index == 0 ? image.tagNames : nil,
                    Size: Int64(clamping: step.byteCount), Comment: step.step.comment ?? "")
            }
        }
    }

    /// `GET /images/{name}/verify`: reads everything of the image, on a thread that may take its time.
    public func verifyImage(_ name: String) async throws(EngineError) -> ImageVerifyReply {
        let images = images
        do throws(ImageError) {
            return try await streams.run { () throws(ImageError) in
                let image = try images.listed(name)
                return ImageVerifyReply(Id: image.id.description, Problems: try images.verify(image))
            }
        } catch {
            throw .image(error)
        }
    }

    /// `POST /images/{name}/tag`.
    public func tagImage(_ name: String, as reference: ImageReference) async throws(EngineError) {
        guard reference.digest == nil else {
            throw .badRequest("refusing to create a tag with a digest reference")
        }
        let id = try await onImages { images throws(ImageError) in
            let id = try images.image(name).id
            try images.tag(id, as: reference)
            return id
        }
        announceImage("tag", id, name: reference.familiar)
    }

    /// Every name with a tag that differs from `reference` in nothing else.
    public func localTags(_ reference: ImageReference) async throws(EngineError) -> [ImageReference] {
        try await onImages { images throws(ImageError) in
            try images.images().flatMap(\.references).filter { known in
                known.tag != nil && known.familiarName == reference.familiarName
            }.sorted { $0.familiar < $1.familiar }
        }
    }

    /// As Docker's engine, a pull and a push go by the image's name.
    func announceTransfer(_ action: String, _ reference: ImageReference) {
        events.send(
            EngineEvent(
                type: "image", action: action, id: reference.familiar, attributes: ["name": reference.familiarName],
                time: Clock.now()))
    }

    func announceImage(_ action: String, _ id: Digest, name: String?) {
        events.send(
            EngineEvent(
                type: "image", action: action, id: id.description, attributes: ["name": name ?? id.description],
                time: Clock.now()))
    }
}

extension ImageSummary {
    init(_ image: Image) {
        self.init(
            Id: image.id.description, RepoTags: image.tagNames, Created: image.createdSeconds,
            Size: Int64(clamping: image.byteCount))
        RepoDigests = image.digestNames
        ParentId = ""
        VirtualSize = Size
        SharedSize = -1
        Containers = -1
        Labels = image.config.config.labels
    }
}

/// What an image's containers run with; what is not said is `null` where clients look for the name.
public struct ImageDefaults: Encodable, Sendable {
    private enum CodingKeys: CodingKey { case OnBuild, Image }

    private let defaults: ContainerDefaults
    private let image: String?

    /// `image`: of the container that it was made from.
    init(_ defaults: ContainerDefaults, image: String? = nil) { (self.defaults, self.image) = (defaults, image) }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        if defaults.onBuild.isEmpty { try values.encodeNil(forKey: .OnBuild) }
        try values.encodeIfPresent(image, forKey: .Image)
        try defaults.encode(to: encoder)
    }
}

/// `GET /images/{name}/json`, in Docker's shape.
public struct ImageDetails: Encodable, Sendable {
    public struct Driver: Encodable, Sendable {
        public var Name = "overlay2"
        /// `UpperDir` is the top layer's folder, `LowerDir` those below it, topmost first, as overlayfs takes them.
        public var Data: [String: String]
    }
    public struct RootFileSystem: Encodable, Sendable {
        public var `Type` = "layers"
        public var Layers: [String]
    }

    public var Id: String
    public var RepoTags: [String]
    public var RepoDigests: [String]
    public var Parent = ""
    public var Comment: String
    /// RFC 3339, as the image says it.
    public var Created: String
    public var Author: String
    public var Config: ImageDefaults
    /// The same, under the name that docker-compose 1 looks for it.
    public var ContainerConfig: ImageDefaults
    public var Container = ""
    public var DockerVersion = ""
    public var Metadata = ["LastTagTime": "0001-01-01T00:00:00Z"]
    public var Architecture: String
    public var Variant: String?
    public var Os: String
    /// Bytes of file content in all layers.
    public var Size: Int64
    public var VirtualSize: Int64
    public var GraphDriver: Driver
    public var RootFS: RootFileSystem

    init(_ image: Image) {
        let config = image.config
        if let seconds = image.namedSeconds { Metadata["LastTagTime"] = rfc3339Seconds(seconds) }
        Id = image.id.description
        RepoTags = image.tagNames
        RepoDigests = image.digestNames
        Comment = config.history.last?.comment ?? ""
        Created = config.created ?? ""
        Author = config.author ?? ""
        Container = config.container ?? ""
        Parent = config.parent ?? ""
        Config = ImageDefaults(config.config)
        ContainerConfig = ImageDefaults(config.config, image: config.containerConfig?.image)
        Architecture = config.architecture
        Variant = config.variant
        Os = config.os
        Size = Int64(clamping: image.byteCount)
        VirtualSize = Size
        let folders = image.lowerDirectories
        var data: [String: String] = [:]
        data["UpperDir"] = folders.first
        if folders.count > 1 { data["LowerDir"] = folders.dropFirst().joined(separator: ":") }
        GraphDriver = Driver(Data: data)
        RootFS = RootFileSystem(Layers: config.rootfs.diffIDs.map(\.description))
    }
}
