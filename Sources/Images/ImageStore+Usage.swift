import Glibc
import LinuxSystem
import Synchronization

/// One step of an image's making, newest first.
public struct HistoryStep: Equatable, Sendable {
    public let step: ImageConfig.History
    /// Of the layer that the step made; nil when it made none.
    public let diffID: Digest?
    /// Bytes of file content in it.
    public let byteCount: UInt64
}

/// What images take on the disk, by the store's own books: no tree is walked.
public struct ImageUsage: Equatable, Sendable {
    public struct One: Equatable, Sendable {
        public let id: Digest
        /// Layers' content and blobs.
        public let byteCount: UInt64
        /// What other images have, too; the rest would be free without this one.
        public let sharedByteCount: UInt64
    }

    /// Newest index order: by id.
    public let images: [One]
    /// Each layer and blob once.
    public let byteCount: UInt64
}

extension ImageStore {
    /// Bytes of all images, without reading a file.
    public func usage() -> ImageUsage { usage(of: state.withLock { $0.index.images }) }

    func usage(of entries: [ImageIndex.Entry]) -> ImageUsage {
        // A layer's tree and a layer's blob are shared apart: one content may have been packed twice.
        func pieces(_ entry: ImageIndex.Entry) -> [String: UInt64] {
            var found: [String: UInt64] = [:]
            for layer in entry.layers ?? [] {
                found["tree " + layer.diffID.hex] = layer.byteCount
                if options.keepsLayerBlobs { found["blob " + layer.blob.hex] = layer.blobByteCount }
            }
            return found
        }
        let perImage = entries.map { ($0.id, pieces($0)) }
        var counts: [String: Int] = [:]
        var total: UInt64 = 0
        for (_, pieces) in perImage {
            for (name, byteCount) in pieces {
                counts[name, default: 0] += 1
                if counts[name] == 1 { total &+= byteCount }
            }
        }
        let images = perImage.map { id, pieces in
            ImageUsage.One(
                id: id, byteCount: pieces.values.reduce(0, &+),
                sharedByteCount: pieces.filter { (counts[$0.key] ?? 0) > 1 }.values.reduce(0, &+))
        }
        return ImageUsage(images: images, byteCount: total)
    }

    /// How the image was made, newest step first. Layers without a history get a step without words.
    public func history(of image: Image) throws(ImageError) -> [HistoryStep] {
        var steps: [HistoryStep] = []
        var left = image.config.rootfs.diffIDs[...]
        for step in image.config.history {
            let diffID = step.emptyLayer == true ? nil : left.popFirst()
            let size = try diffID.flatMap { id throws(ImageError) in try layerSize(id) }
            steps.append(HistoryStep(step: step, diffID: diffID, byteCount: size?.byteCount ?? 0))
        }
        for diffID in left {
            steps.append(
                HistoryStep(
                    step: ImageConfig.History(), diffID: diffID, byteCount: try layerSize(diffID)?.byteCount ?? 0))
        }
        return steps.reversed()
    }
}
