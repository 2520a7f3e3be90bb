import FoundationEssentials

/// A record that outlasts a reboot. Each kind has its own name space of ids.
protocol StoredRecord: Codable, Sendable {
    static var kind: String { get }
    var recordID: String { get }
    /// The stack it belongs to; empty for none.
    var stackName: String { get }
}

/// All durable state: records as JSON documents in one SQLite table, written by this process alone.
///
/// What the kernel knows (is it running, is the bridge there) is never stored; see `Engine+Observe.swift`.
final class StateStore: Sendable {
    /// Raised when the form of a record changes in a way old code cannot read.
    private static let schemaVersion: Int64 = 1

    private let database: Database

    init(path: String) throws(DatabaseError) {
        database = try Database(path: path)
        try database.run(
            """
            CREATE TABLE IF NOT EXISTS records (
                kind TEXT NOT NULL, id TEXT NOT NULL, stack TEXT NOT NULL, body TEXT NOT NULL,
                PRIMARY KEY (kind, id)) WITHOUT ROWID
            """)
        let found = try database.run("PRAGMA user_version").first?.first ?? .integer(0)
        guard case .integer(let version) = found, version <= Self.schemaVersion else {
            throw DatabaseError(
                code: 1, message: "\(path) was written by a newer Gantry; install that version or move the file away")
        }
        try database.run("PRAGMA user_version=\(Self.schemaVersion)")
    }

    func save(_ record: some StoredRecord) throws(DatabaseError) {
        let (sql, parameters) = try Self.saving(record)
        try database.run(sql, parameters)
    }

    /// Saves and deletes as one transaction.
    func save(_ records: [any StoredRecord], deleting deleted: [any StoredRecord] = []) throws(DatabaseError) {
        var statements: [(sql: String, parameters: [DatabaseValue])] = []
        for record in records { statements.append(try Self.saving(record)) }
        for record in deleted { statements.append(Self.deleting(record)) }
        guard !statements.isEmpty else { return }
        try database.transaction(statements)
    }

    func delete(_ record: some StoredRecord) throws(DatabaseError) {
        let (sql, parameters) = Self.deleting(record)
        try database.run(sql, parameters)
    }

    /// Every record of a type, by id.
    func all<Record: StoredRecord>(_ type: Record.Type) throws(DatabaseError) -> [Record] {
        let rows = try database.run("SELECT id, body FROM records WHERE kind = ? ORDER BY id", [.text(Record.kind)])
        var records: [Record] = []
        for row in rows {
            guard let body = row.last?.string else { continue }
            do {
                records.append(try JSONDecoder().decode(Record.self, from: Data(body.utf8)))
            } catch {
                throw DatabaseError(code: 11, message: "record \(Record.kind) \(row.first?.string ?? "?"): \(error)")
            }
        }
        return records
    }

    private static func saving(
        _ record: some StoredRecord
    ) throws(DatabaseError) -> (sql: String, parameters: [DatabaseValue]) {
        let body: String
        do {
            body = String(decoding: try JSONEncoder().encode(record), as: UTF8.self)
        } catch {
            throw DatabaseError(code: 20, message: "record \(type(of: record).kind) \(record.recordID): \(error)")
        }
        return (
            "INSERT OR REPLACE INTO records (kind, id, stack, body) VALUES (?, ?, ?, ?)",
            [.text(type(of: record).kind), .text(record.recordID), .text(record.stackName), .text(body)]
        )
    }

    private static func deleting(_ record: some StoredRecord) -> (sql: String, parameters: [DatabaseValue]) {
        ("DELETE FROM records WHERE kind = ? AND id = ?", [.text(type(of: record).kind), .text(record.recordID)])
    }
}
