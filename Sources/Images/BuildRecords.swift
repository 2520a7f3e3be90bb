import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// What a step of a build made, kept under the key of everything that the step depends on.
public struct BuildRecord: Equatable, Sendable {
    /// What the next step counts as its parent: equal content has one, however it was found.
    public var key: Digest
    /// nil: the step changed nothing.
    public var layer: BuiltLayer?
    /// RFC 3339: when the step was carried out.
    public var created: String

    public init(key: Digest, layer: BuiltLayer?, created: String) {
        self.key = key
        self.layer = layer
        self.created = created
    }
}

/// Records of build steps: one small file for each key, so that a look-up is one read, whatever there is. A file is
/// replaced as a whole and carries its own digest; what is not as it should be is as good as not there.
///
/// What was not flushed to the disk yet counts until the machine is booted again.
extension ImageStore {
    private static let recordByteCountMax = 4096
    private static let header = "gantry-build-step 1"

    func recordPath(_ key: Digest) -> String { "\(root)/builds/steps/\(key.hex)" }

    /// The record of a key, when the layer is there. Its layer is leased; the file's time tells when it was last used.
    public func buildRecord(_ key: Digest, _ lease: BuildLease) -> BuildRecord? {
        // Most keys have no record; one that cannot be read is one that is not there.
        guard let record = try? readRecord(recordPath(key)) else { return nil }
        if let layer = record.layer {
            lease.hold([layer.diffID])
            guard present(layer) != nil else { return nil }
        }
        // When it was last used: for pruning only.
        utimensat(AT_FDCWD, recordPath(key), nil, 0)
        return record
    }

    /// - Parameter isFlushed: the layer is on the disk, not only in memory.
    public func keepBuildRecord(_ record: BuildRecord, for key: Digest, isFlushed: Bool) throws(ImageError) {
        var lines = [Self.header, "key \(record.key.hex)", "created \(record.created)"]
        if let layer = record.layer {
            lines.append("layer \(layer.diffID.hex) \(layer.tarByteCount) \(layer.byteCount)")
        }
        if !isFlushed { lines.append("boot \(try bootID())") }
        let text = lines.joined(separator: "\n") + "\n"
        let whole = text + "sum \(Digest.sha256(of: Array(text.utf8)).hex)\n"
        try converting { () throws(SystemError) in
            try FileSystem.makeDirectories("\(root)/builds/steps")
            try FileSystem.replaceFile(recordPath(key), with: whole.utf8, mode: 0o600)
        }
    }

    private func bootID() throws(ImageError) -> String {
        let bytes = try converting { () throws(SystemError) in
            try FileSystem.readFile("/proc/sys/kernel/random/boot_id", byteCountMax: 64)
        }
        return String(decoding: bytes.filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// nil for what is no record, is damaged, or was lost with the power.
    private func readRecord(_ path: String) throws(ImageError) -> BuildRecord? {
        let bytes = try converting { () throws(SystemError) in
            try FileSystem.readFile(path, byteCountMax: Self.recordByteCountMax)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(ofLast: "sum ") else { return nil }
        let body = String(text[..<end])
        guard text == body + "sum \(Digest.sha256(of: Array(body.utf8)).hex)\n" else { return nil }
        var fields: [Substring: [Substring]] = [:]
        for line in body.split(separator: "\n") {
            let words = line.split(separator: " ")
            if let name = words.first { fields[name] = Array(words.dropFirst()) }
        }
        guard body.hasPrefix(Self.header + "\n"), let key = (fields["key"]?.first).flatMap({ Digest(hex: String($0)) }),
            let created = fields["created"]?.first
        else { return nil }
        if let boot = fields["boot"]?.first, try String(boot) != bootID() { return nil }
        var layer: BuiltLayer?
        if let words = fields["layer"] {
            guard words.count == 3, let diffID = Digest(hex: String(words[0])), let tar = UInt64(words[1]),
                let content = UInt64(words[2])
            else { return nil }
            layer = BuiltLayer(diffID: diffID, tarByteCount: tar, byteCount: content)
        }
        return BuildRecord(key: key, layer: layer, created: String(created))
    }

    // MARK: - Keeping and pruning

    /// What records keep from being collected as garbage.
    func recordedContent() throws(ImageError) -> Set<Digest> {
        var needed: Set<Digest> = []
        for entry in try buildRecords() {
            if let layer = entry.record.layer { needed.insert(layer.diffID) }
        }
        return needed
    }

    struct StoredRecord {
        var path: String
        var record: BuildRecord
        /// Seconds since 1970.
        var usedAt: Int64
    }

    func buildRecords() throws(ImageError) -> [StoredRecord] {
        let folder = "\(root)/builds/steps"
        guard FileSystem.exists(folder) else { return [] }
        var found: [StoredRecord] = []
        for name in try converting({ () throws(SystemError) in try FileSystem.list(folder) }) {
            let path = "\(folder)/\(name)"
            var status = stat()
            // Damaged ones, and those that another build replaces at this moment, keep nothing.
            guard lstat(path, &status) == 0, let record = try? readRecord(path) else { continue }
            found.append(StoredRecord(path: path, record: record, usedAt: Int64(status.st_mtim.tv_sec)))
        }
        return found
    }

    /// Forgets steps that were last used before a moment, and, beyond `byteCountMax`, those that were used longest ago.
    ///
    /// - Returns: how many records went; their layers go with the next collection of garbage.
    @discardableResult
    public func pruneBuildRecords(usedBefore moment: Int64? = nil, byteCountMax: UInt64? = nil) throws(ImageError)
        -> Int
    {
        let imageLayers = Set(state.withLock { $0.index.images }.flatMap { ($0.layers ?? []).map(\.diffID) })
        var kept: Set<Digest> = []
        var byteCount: UInt64 = 0
        var removed = 0
        for entry in try buildRecords().sorted(by: { ($1.usedAt, $1.path) < ($0.usedAt, $0.path) }) {
            var isOver = false
            if let layer = entry.record.layer, !imageLayers.contains(layer.diffID), !kept.contains(layer.diffID) {
                byteCount &+= layer.byteCount &+ layer.tarByteCount
                isOver = byteCountMax.map { byteCount > $0 } ?? false
                if !isOver { kept.insert(layer.diffID) }
            }
            guard isOver || moment.map({ entry.usedAt < $0 }) ?? false else { continue }
            unlink(entry.path)
            removed += 1
        }
        return removed
    }

    /// Bytes of layers that only builds know, and how many steps are remembered.
    public func buildCacheUsage() throws(ImageError) -> (count: Int, byteCount: UInt64) {
        let imageLayers = Set(state.withLock { $0.index.images }.flatMap { ($0.layers ?? []).map(\.diffID) })
        let records = try buildRecords()
        let layers = Set(records.compactMap(\.record.layer)).filter { !imageLayers.contains($0.diffID) }
        return (records.count, layers.reduce(0) { $0 &+ $1.byteCount &+ $1.tarByteCount })
    }
}

extension String {
    fileprivate func range(ofLast word: String) -> String.Index? {
        var index = endIndex
        while index > startIndex {
            index = self.index(before: index)
            if self[index...].hasPrefix(word) { return index }
        }
        return nil
    }
}
