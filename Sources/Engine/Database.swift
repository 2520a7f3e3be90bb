import CSQLite
import Synchronization

/// A failed SQLite call.
public struct DatabaseError: Error, Sendable, CustomStringConvertible {
    /// SQLite's primary result code, e.g. `SQLITE_FULL`.
    public let code: Int32
    public let message: String

    public var description: String { "state database: \(message)" }
    public var isDiskFull: Bool { code == SQLITE_FULL }
}

/// A value in a row; Gantry keeps its records as text (JSON), keys as text and times as integers.
enum DatabaseValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case text(String)

    var string: String? {
        if case .text(let text) = self { return text }
        return nil
    }
}

/// One connection to one SQLite file in WAL mode, used from any thread, one statement at a time.
///
/// `synchronous=NORMAL`: a power cut may lose the last transactions, never the file's consistency. What was lost is
/// observed again from the kernel or asked for again by the user.
final class Database: Sendable {
    // SAFETY: only touched while the Mutex around it is held.
    private struct Connection: @unchecked Sendable {
        let handle: OpaquePointer
        var statements: [String: OpaquePointer] = [:]
    }

    private let connection: Mutex<Connection>

    init(path: String) throws(DatabaseError) {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        let code = sqlite3_open_v2(path, &handle, flags, nil)
        guard code == SQLITE_OK, let handle else {
            let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close(handle)
            throw DatabaseError(code: code, message: "\(path): \(message)")
        }
        connection = Mutex(Connection(handle: handle))
        for pragma in ["journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=5000"] {
            try run("PRAGMA \(pragma)")
        }
    }

    deinit {
        connection.withLock { connection in
            for statement in connection.statements.values { sqlite3_finalize(statement) }
            sqlite3_close(connection.handle)
        }
    }

    /// Runs one statement with positional parameters and returns its rows.
    @discardableResult
    func run(_ sql: String, _ parameters: [DatabaseValue] = []) throws(DatabaseError) -> [[DatabaseValue]] {
        try connection.withLock { connection throws(DatabaseError) in
            try Self.run(sql, parameters, &connection)
        }
    }

    /// Runs several statements as one transaction: all or none.
    func transaction(_ statements: [(sql: String, parameters: [DatabaseValue])]) throws(DatabaseError) {
        try connection.withLock { connection throws(DatabaseError) in
            try Self.run("BEGIN IMMEDIATE", [], &connection)
            do throws(DatabaseError) {
                for statement in statements { try Self.run(statement.sql, statement.parameters, &connection) }
                try Self.run("COMMIT", [], &connection)
            } catch {
                sqlite3_exec(connection.handle, "ROLLBACK", nil, nil, nil)
                throw error
            }
        }
    }

    @discardableResult
    private static func run(
        _ sql: String, _ parameters: [DatabaseValue], _ connection: inout Connection
    ) throws(DatabaseError) -> [[DatabaseValue]] {
        let statement = try prepare(sql, &connection)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, parameter) in parameters.enumerated() {
            let position = Int32(index + 1)
            switch parameter {
            case .null: sqlite3_bind_null(statement, position)
            case .integer(let value): sqlite3_bind_int64(statement, position, value)
            case .text(let text):
                let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)  // SQLITE_TRANSIENT: copy it
                sqlite3_bind_text(statement, position, text, -1, transient)
            }
        }
        var rows: [[DatabaseValue]] = []
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: rows.append(row(of: statement))
            case SQLITE_DONE: return rows
            case let code: throw failure(code, connection)
            }
        }
    }

    private static func prepare(_ sql: String, _ connection: inout Connection) throws(DatabaseError) -> OpaquePointer {
        if let statement = connection.statements[sql] { return statement }
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v2(connection.handle, sql, -1, &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure(code, connection) }
        connection.statements[sql] = statement
        return statement
    }

    private static func row(of statement: OpaquePointer) -> [DatabaseValue] {
        (0..<sqlite3_column_count(statement)).map { column in
            switch sqlite3_column_type(statement, column) {
            case SQLITE_INTEGER: .integer(sqlite3_column_int64(statement, column))
            case SQLITE_NULL: .null
            default: sqlite3_column_text(statement, column).map { .text(String(cString: $0)) } ?? .null
            }
        }
    }

    private static func failure(_ code: Int32, _ connection: Connection) -> DatabaseError {
        DatabaseError(code: code & 0xff, message: String(cString: sqlite3_errmsg(connection.handle)))
    }
}
