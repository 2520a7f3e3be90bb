import Images
import Synchronization

/// The cache's records of one build. Each is written as soon as its layer is kept, for the case that the engine is
/// killed; once the disk has everything they are written again, so that they survive the loss of power.
final class StepRecords: Sendable {
    private let store: ImageStore
    private let lease: BuildLease
    private let unflushed = Mutex<[Digest: BuildRecord]>([:])

    init(store: ImageStore, lease: BuildLease) {
        self.store = store
        self.lease = lease
    }

    func find(_ key: Digest) -> BuildRecord? { store.buildRecord(key, lease) }

    /// `aliases` lead to the same record.
    func keep(_ record: BuildRecord, aliases: [Digest]) throws(BuildFailure) {
        try storing { () throws(ImageError) in
            for key in [record.key] + aliases { try store.keepBuildRecord(record, for: key, isFlushed: false) }
        }
        unflushed.withLock { unflushed in
            for key in [record.key] + aliases { unflushed[key] = record }
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
