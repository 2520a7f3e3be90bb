import EngineWire
import Images
import Reconciler
import StackModel

/// Removing images, by the rules and with the words of Docker's engine, with one difference: an image that a stopped
/// container is made from only loses its names when it is forced out, for the container must be able to start again.
extension Engine {
    /// `DELETE /images/{name}`.
    public func removeImage(_ name: String, force: Bool) async throws(EngineError) -> [ImageDeletion] {
        let image: Image
        do throws(ImageError) { image = try images.listed(name) } catch { throw .image(error) }
        let users = users(ofImage: image.id)
        let removal = try ImageRemoval(
            image, name: name, force: force, running: users.first { $0.process != nil }?.stored.shortID,
            stopped: users.first { $0.process == nil }?.stored.shortID)
        // From here on until the image is gone no container is made from it.
        if removal.deletes { imagesLeaving.insert(image.id) }
        defer { imagesLeaving.remove(image.id) }
        let names = removal.untags
        try await onImages { images throws(ImageError) in
            for reference in names { try images.untag(reference) }
        }
        for reference in names { announceImage("untag", image.id, name: reference.familiar) }
        var deletions = names.map { ImageDeletion(Untagged: $0.familiar) }
        guard removal.deletes else { return deletions }
        let removed = try await onImages { images throws(ImageError) in try images.remove([image.id]) }
        deletions += (removed.ids + removed.layers).map { ImageDeletion(Deleted: $0.description) }
        announceImage("delete", image.id, name: nil)
        return deletions
    }

    /// `POST /images/prune`: images without a tag, or with the filter `dangling=false` all, that no container is made
    /// from.
    public func pruneImages(_ values: [String: [String]]) async throws(EngineError) -> ImagePruneReply {
        let filters = try ImageFilters(values, known: ImageFilters.pruneKeys)
        let onlyUntagged = filters.dangling ?? true
        let all = try await onImages { images throws(ImageError) in try images.images() }
        let used = usedImages
        let unused = all.filter { image in
            !used.contains(image.id) && !imagesLeaving.contains(image.id)
                && (!onlyUntagged || image.references.allSatisfy { $0.tag == nil })
                && filters.matches(createdSeconds: image.createdSeconds, labels: image.config.config.labels)
        }
        let ids = Set(unused.map(\.id))
        imagesLeaving.formUnion(ids)
        defer { imagesLeaving.subtract(ids) }
        let removed = try await onImages { images throws(ImageError) in
            try images.remove(ids, keepingInterrupted: onlyUntagged)
        }
        let gone = Set(removed.ids)
        var deletions: [ImageDeletion] = []
        for image in unused where gone.contains(image.id) {
            deletions += image.references.map { ImageDeletion(Untagged: $0.familiar) }
            deletions.append(ImageDeletion(Deleted: image.id.description))
            announceImage("delete", image.id, name: nil)
        }
        deletions += removed.layers.map { ImageDeletion(Deleted: $0.description) }
        announcePrune("image", byteCount: Int64(clamping: removed.byteCount))
        return ImagePruneReply(ImagesDeleted: deletions, SpaceReclaimed: Int64(clamping: removed.byteCount))
    }

    private func users(ofImage id: Digest) -> [Container] {
        let text = id.description
        return containers.values.filter { $0.stored.definition.imageID == text }
            .sorted { $0.stored.name < $1.stored.name }
    }

    /// Images that containers, running or not, are made from.
    var usedImages: Set<Digest> { Set(containers.values.compactMap { Digest($0.stored.definition.imageID) }) }
}

/// What one removal does, or why it is refused. Pure.
struct ImageRemoval: Equatable {
    var untags: [ImageReference]
    var deletes: Bool
}

extension ImageRemoval {
    /// - Parameters:
    ///   - name: as the client wrote it.
    ///   - running: a running container made from the image.
    ///   - stopped: one that does not run.
    init(
        _ image: Image, name: String, force: Bool, running: String?, stopped: String?
    ) throws(EngineError) {
        let references = image.references
        let isSingle =
            references.count { $0.tag != nil } <= 1 && Set(references.map(\.familiarName)).count <= 1
        let short = image.id.short
        if let given = Self.reference(name, of: references) {
            if isSingle, !force, let user = running ?? stopped {
                throw .conflict(
                    "conflict: unable to remove repository reference \"\(name)\" (must force) - "
                        + "container \(user) is using its referenced image \(short)")
            }
            if isSingle, let running { throw Self.isRunning(short, running) }
            var left = references.filter { $0 != given }
            var untags = [given]
            // What was pulled by tag may be known by digest, too.
            if given.tag != nil, left.allSatisfy({ $0.tag == nil && $0.familiarName == given.familiarName }) {
                untags += left
                left = []
            }
            self.init(untags: untags, deletes: left.isEmpty && stopped == nil && running == nil)
            return
        }
        if let running { throw Self.isRunning(short, running) }
        guard isSingle || force else {
            throw .conflict(
                "conflict: unable to delete \(short) (must be forced) - image is referenced in multiple repositories")
        }
        if let stopped, !force {
            throw .conflict(
                "conflict: unable to delete \(short) (must be forced) - "
                    + "image is being used by stopped container \(stopped)")
        }
        self.init(untags: references, deletes: stopped == nil)
    }

    /// The image's name that the client means; nil when it gave an id, or a digest of one of the names.
    private static func reference(_ name: String, of references: [ImageReference]) -> ImageReference? {
        // An id is no name.
        guard let parsed = try? ImageReference(parsing: name) else { return nil }
        return references.first { $0 == parsed }
    }

    private static func isRunning(_ image: String, _ container: String) -> EngineError {
        .conflict(
            "conflict: unable to delete \(image) (cannot be forced) - "
                + "image is being used by running container \(container)")
    }
}
