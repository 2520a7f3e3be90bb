import CLinux
import Glibc
import LinuxSystem

extension ImageStore {
    /// Looks whether everything an image is made of is as it came: each document and blob has its digest, each blob's
    /// content its diff id, and each layer's tree is what the blob unpacks to anew: paths, types, modes, owners,
    /// modification times, extended attributes, link targets, device numbers and content.
    ///
    /// Reads everything, and writes each layer once more to `tmp`: seconds to minutes. Images stay usable meanwhile.
    ///
    /// - Returns: what is wrong, one sentence each; empty when all is well.
    public func verify(_ image: Image) throws(ImageError) -> [String] {
        let entry = try completeEntry(image.id)
        let leased = Set(Self.digests(of: entry))
        lease(leased)
        defer { release(leased) }
        var problems: [String] = []
        for (digest, what) in [(entry.id, "config"), (entry.manifest, "manifest")] {
            problems += try damage { () throws(ImageError) in
                _ = try readBlob(digest, what: what)
                return []
            }
        }
        var seen: Set<Digest> = []
        for layer in entry.layers ?? [] where seen.insert(layer.diffID).inserted {
            problems += try damage { () throws(ImageError) in try verify(layer) }
        }
        return problems
    }

    /// Damage is an answer; anything else (a full disk) ends the verification.
    private func damage(_ find: () throws(ImageError) -> [String]) throws(ImageError) -> [String] {
        do {
            return try find()
        } catch {
            switch error {
            case .damaged(let what): return [what]
            case .archive(let why): return [why]
            case .digestMismatch: return [error.description]
            default: throw error
            }
        }
    }

    private func verify(_ layer: ImageIndex.Layer) throws(ImageError) -> [String] {
        let (blob, byteCount) = try openBlob(layer.blob)
        let hashed = MeasuringSource(
            DescriptorSource(descriptor: blob.raw), hashing: true, byteCountMax: .max, what: "a blob")
        guard try hashed.finish() == layer.blob else {
            return ["blob \(layer.blob.short) was changed on disk; load the image again"]
        }
        guard FileSystem.exists(layerPath(layer.diffID)) else {
            return ["layer \(layer.diffID.short) is gone; load the image again"]
        }
        let file = try GrowingFile(path: blobPath(layer.blob), continuing: Int64(clamping: byteCount))
        file.end(.complete)
        let unpacking = try LayerUnpacking(store: self, file: file, isNeeded: true)
        let made = try unpacking.result()
        guard (made.diffID ?? layer.blob) == layer.diffID else {
            return ["blob \(layer.blob.short) is not the content of layer \(layer.diffID.short)"]
        }
        let differences = try TreeComparison.differences(layerPath(layer.diffID), expected: "\(made.folder)/fs")
        return differences.map { "layer \(layer.diffID.short): \($0)" }
    }
}

/// Compares two trees path by path.
enum TreeComparison {
    /// More differences are only counted.
    private static let toldCountMax = 20

    static func differences(_ root: String, expected: String) throws(ImageError) -> [String] {
        var wanted: [[UInt8]: (digest: Digest, description: String)] = [:]
        try TreeWalk.visit(expected) { object, parent, name throws(ImageError) in
            wanted[object.path] = (try content(object, parent, name), describe(object))
        }
        var told: [String] = []
        var count = 0
        func tell(_ text: String) {
            count += 1
            if count <= toldCountMax { told.append(text) }
        }
        try TreeWalk.visit(root) { object, parent, name throws(ImageError) in
            guard let expected = wanted.removeValue(forKey: object.path) else {
                return tell("\(quoted(object.path)) does not belong there")
            }
            let actual = describe(object)
            if actual != expected.description {
                tell("\(quoted(object.path)) is \(actual), not \(expected.description)")
            } else if try content(object, parent, name) != expected.digest {
                tell("\(quoted(object.path)) has other content")
            }
        }
        for path in wanted.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            tell("\(quoted(path)) is gone")
        }
        if count > toldCountMax { told.append("\(count - toldCountMax) more differences") }
        return told
    }

    private static func describe(_ object: TreeObject) -> String {
        let status = object.status
        var text = "mode \(String(status.st_mode, radix: 8)) of \(status.st_uid):\(status.st_gid)"
        text += " from \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
        if object.type == S_IFREG { text += ", \(status.st_size) bytes, \(status.st_nlink) links" }
        if object.type == S_IFCHR || object.type == S_IFBLK { text += ", device \(status.st_rdev)" }
        if object.type == S_IFLNK { text += ", to \(quoted(object.target))" }
        for attribute in object.attributes {
            text += ", \(quoted(attribute.name)) \(Digest.sha256(of: attribute.value).short)"
        }
        return text
    }

    /// Of a regular file; that of nothing for everything else.
    private static func content(_ object: TreeObject, _ parent: Int32, _ name: CPath) throws(ImageError) -> Digest {
        guard object.type == S_IFREG, object.status.st_size > 0 else { return Digest.sha256(of: []) }
        let raw = name.withPointer { gantry_openat(parent, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0) }
        guard raw >= 0 else { throw ImageError(SystemError("openat", path: quoted(object.path), code: errno)) }
        let file = FileDescriptor(owning: raw)
        let hasher = Hasher256()
        let source = DescriptorSource(descriptor: file.raw)
        while true {
            let piece = try source.next()
            if piece.isEmpty { return hasher.finish() }
            hasher.update(piece)
        }
    }
}
