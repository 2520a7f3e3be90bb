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

    func find(_ key: Digest) -> BuildRecord? {
        guard let record = store.buildRecord(key, lease) ?? importedRecord(key) else { return nil }
        used.withLock { $0[key] = record }
        return record
    }

    private func importedRecord(_ key: Digest) -> BuildRecord? {
        guard let record = imported[key] else { return nil }
        guard let layer = record.layer else { return record }
        lease.hold([layer.diffID])
        return store.present(layer) == nil ? nil : record
    }

    /// `aliases` lead to the same record.
    func keep(_ record: BuildRecord, aliases: [Digest]) throws(BuildFailure) {
        let keys = [record.key] + aliases
        used.withLock { used in
            for key in keys { used[key] = record }
        }
        // What was imported is not made one's own by giving it another name.
        guard imported[record.key] == nil else { return }
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
