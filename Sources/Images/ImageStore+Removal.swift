import Glibc
import LinuxSystem
import Synchronization

/// What a collection of garbage gave back.
public struct CollectedGarbage: Equatable, Sendable {
    public var blobCount = 0
    public var layerCount = 0

    public init(blobCount: Int = 0, layerCount: Int = 0) {
        self.blobCount = blobCount
        self.layerCount = layerCount
    }
}

extension ImageStore {
    /// Removes blobs and layers that neither an image nor a running load or pull needs, e.g. those of a load that a
    /// crash ended just before its last step. Takes the time of two directory lists and a rename for each piece: the
    /// files are removed afterwards, by a thread in the background.
    ///
    /// - Parameter keepingInterrupted: what a pull that broke off has fetched stays, for the next attempt to go on
    ///   with, for a day after it broke off.
    @discardableResult
    public func collectGarbage(keepingInterrupted: Bool = true) throws(ImageError) -> CollectedGarbage {
        let folder = try makeTemporaryFolder()
        defer { trash.discard(folder) }
        return try writer.withLock { _ throws(ImageError) in
            try moveGarbage(to: folder, keepingInterrupted: keepingInterrupted)
        }
    }

    private func moveGarbage(to folder: String, keepingInterrupted: Bool) throws(ImageError) -> CollectedGarbage {
        let (index, leases) = state.withLock { ($0.index, Set($0.leases.keys)) }
        var needed = leases
        for entry in index.images { needed.formUnion(try content(of: entry)) }
        needed.formUnion(try interruptedPulls(keeping: keepingInterrupted))
        needed.formUnion(try recordedContent())
        var collected = CollectedGarbage()
        for name in try names("\(root)/blobs/sha256") where isGarbage(name, needed) {
            try move("\(root)/blobs/sha256/\(name)", to: "\(folder)/blob-\(name)")
            collected.blobCount += 1
        }
        for name in try names("\(root)/partial") where isGarbage(name, needed) {
            try move("\(root)/partial/\(name)", to: "\(folder)/partial-\(name)")
        }
        for name in try names("\(root)/layers") where isGarbage(name, needed) {
            try move("\(root)/layers/\(name)", to: "\(folder)/layer-\(name)")
            collected.layerCount += 1
        }
        return collected
    }

    /// Everything an image is made of.
    private func content(of entry: ImageIndex.Entry) throws(ImageError) -> Set<Digest> {
        if let layers = entry.layers {
            return Set([entry.id, entry.manifest] + layers.flatMap { [$0.diffID, $0.blob] })
        }
        // Written by an older Gantry: the image's documents tell.
        let manifest = try decodeJSON(
            ManifestDocument.self, readBlob(entry.manifest, what: "manifest"), what: "manifest \(entry.manifest)")
        return Set(
            [entry.id, entry.manifest] + (try open(entry).config.rootfs.diffIDs) + (manifest.layers ?? []).map(\.digest)
        )
    }

    private func names(_ folder: String) throws(ImageError) -> [String] {
        try converting { () throws(SystemError) in try FileSystem.list(folder) }
    }

    /// Files of other names are not ours to remove.
    private func isGarbage(_ hex: String, _ needed: Set<Digest>) -> Bool {
        Digest(hex: hex).map { !needed.contains($0) } ?? false
    }

    private func move(_ path: String, to target: String) throws(ImageError) {
        try converting { () throws(SystemError) in _ = try check("rename", path: path) { rename(path, target) } }
    }
}
