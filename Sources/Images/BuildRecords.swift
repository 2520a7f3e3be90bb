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
        /// That it is found by.
        var key: Digest
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
            guard let key = Digest(hex: name), lstat(path, &status) == 0, let record = try? readRecord(path) else {
                continue
            }
            found.append(StoredRecord(path: path, key: key, record: record, usedAt: Int64(status.st_mtim.tv_sec)))
        }
        return found
    }

    /// What a prune may take: what all of it allows, as a user asks for, unless it says `takesEither`.
    public struct BuildPruning: Sendable {
        /// Only what was last used before (seconds since 1970).
        public var usedBefore: Int64?
        /// Beyond so many bytes, those that were used longest ago.
        public var byteCountMax: UInt64?
        /// What is too old and what is too much, as when nobody asked: neither alone is to stay.
        public var takesEither = false
        /// Also steps whose layers images have.
        public var takesShared = true

        public init() {}
    }

    /// Forgets steps.
    ///
    /// - Returns: the keys of what went; the layers go with the next collection of garbage.
    @discardableResult
    public func pruneBuildRecords(_ pruning: BuildPruning) throws(ImageError) -> [Digest] {
        let shared = imageLayers
        var kept: Set<Digest> = []
        var byteCount: UInt64 = 0
        var removed: [Digest] = []
        for entry in try buildRecords().sorted(by: { ($1.usedAt, $1.path) < ($0.usedAt, $0.path) }) {
            let isShared = entry.record.layer.map { shared.contains($0.diffID) } ?? false
            var isOver = pruning.byteCountMax == nil && !pruning.takesEither
            if let layer = entry.record.layer, !isShared, !kept.contains(layer.diffID), let max = pruning.byteCountMax {
                byteCount &+= layer.byteCount &+ layer.tarByteCount
                isOver = byteCount > max
                if !isOver { kept.insert(layer.diffID) }
            }
            let isOld = pruning.usedBefore.map { entry.usedAt < $0 } ?? !pruning.takesEither
            let isWanted = pruning.takesEither ? isOver || isOld : isOver && isOld
            guard isWanted, pruning.takesShared || !isShared else { continue }
            unlink(entry.path)
            removed.append(entry.key)
        }
        return removed
    }

    private var imageLayers: Set<Digest> {
        Set(state.withLock { $0.index.images }.flatMap { ($0.layers ?? []).map(\.diffID) })
    }

    /// A step that is remembered.
    public struct RememberedStep: Equatable, Sendable {
        public var key: Digest
        /// Of its layer's tree and blob; 0 for one that another step is listed with.
        public var byteCount: UInt64
        /// An image has its layer, too.
        public var isShared: Bool
        /// Seconds since 1970.
        public var usedAt: Int64
    }

    /// Every step, each layer counted once.
    public func rememberedSteps() throws(ImageError) -> [RememberedStep] {
        let shared = imageLayers
        var counted: Set<Digest> = []
        return try buildRecords().sorted { $0.path < $1.path }.map { entry in
            var byteCount: UInt64 = 0
            if let layer = entry.record.layer, counted.insert(layer.diffID).inserted {
                byteCount = layer.byteCount &+ layer.tarByteCount
            }
            let isShared = entry.record.layer.map { shared.contains($0.diffID) } ?? false
            return RememberedStep(key: entry.key, byteCount: byteCount, isShared: isShared, usedAt: entry.usedAt)
        }
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
