import Images
import Synchronization

/// The cache's records of one build. Each is written as soon as its layer is kept, for the case that the engine is
/// killed; once the disk has everything they are written again, so that they survive the loss of power.
final class StepRecords: Sendable {
    private let store: ImageStore
    private let lease: BuildLease
    /// Of `cache_from`: for this build alone, since whoever made them could name any layer.
    private let imported: [Digest: BuildRecord]
    private let unflushed = Mutex<[Digest: BuildRecord]>([:])
    private let used = Mutex<[Digest: BuildRecord]>([:])

    init(store: ImageStore, lease: BuildLease, imported: [Digest: BuildRecord]) {
        self.store = store
        self.lease = lease
        self.imported = imported
    }

    /// Every step of the build, by its keys: what `cache_to` writes.
    var all: [Digest: BuildRecord] { used.withLock { $0 } }

    struct Found: Sendable {
        var record: BuildRecord
        /// By `cache_from`.
        var isImported: Bool
    }

    func find(_ key: Digest) throws(BuildFailure) -> Found? {
        var found = store.buildRecord(key, lease).map { Found(record: $0, isImported: false) }
        if found == nil { found = try importedRecord(key).map { Found(record: $0, isImported: true) } }
        if let found { used.withLock { $0[key] = found.record } }
        return found
    }

    /// Whoever made it says what the layer is; how large it is the store knows.
    private func importedRecord(_ key: Digest) throws(BuildFailure) -> BuildRecord? {
        guard var record = imported[key], let layer = record.layer else { return imported[key] }
        lease.hold([layer.diffID])
        let own = try storing { () throws(ImageError) in try store.builtLayer(layer.diffID) }
        record.layer = own
        return own == nil ? nil : record
    }

    /// - Parameters:
    ///   - keys: what the record is found under.
    ///   - isImported: it depends on what came from `cache_from`, and is not made one's own.
    func keep(_ record: BuildRecord, for keys: [Digest], isImported: Bool) throws(BuildFailure) {
        used.withLock { used in
            for key in keys { used[key] = record }
        }
        guard !isImported else { return }
        try storing { () throws(ImageError) in
            for key in keys { try store.keepBuildRecord(record, for: key, isFlushed: false) }
        }
        unflushed.withLock { unflushed in
            for key in keys { unflushed[key] = record }
        }
    }

    func flush() throws(BuildFailure) {
        let records = unflushed.withLock { unflushed in
            defer { unflushed = [:] }
            return unflushed
        }
        guard !records.isEmpty else { return }
        try storing { () throws(ImageError) in
            try store.flush()
            for (key, record) in records { try store.keepBuildRecord(record, for: key, isFlushed: true) }
        }
    }
}
