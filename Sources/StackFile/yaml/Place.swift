import StackModel
import Synchronization

/// A `SourceMark` in twelve bytes without a reference: trees have one for every value and key, and are copied often.
struct Place: Hashable, Sendable {
    private let file: UInt32
    private let line: UInt32
    private let column: UInt32

    init(_ mark: SourceMark) {
        file = FileNames.number(of: mark.file)
        line = UInt32(clamping: mark.line)
        column = UInt32(clamping: mark.column)
    }

    var lineNumber: Int { Int(line) }

    var mark: SourceMark { SourceMark(file: FileNames.name(file), line: Int(line), column: Int(column)) }
}

/// The names of the files that have been loaded, by number. There are at most `FileLoader.filesMax` of them in a load.
private enum FileNames {
    private struct Table {
        var names: [String] = []
        var numbers: [String: UInt32] = [:]
        /// The one asked for last: files are read one after another.
        var recent: (name: String, number: UInt32)?
    }

    private static let table = Mutex(Table())

    static func number(of name: String) -> UInt32 {
        table.withLock { table in
            if let recent = table.recent, recent.name == name { return recent.number }
            let number = table.numbers[name] ?? UInt32(clamping: table.names.count)
            if Int(number) == table.names.count {
                table.names.append(name)
                table.numbers[name] = number
            }
            table.recent = (name, number)
            return number
        }
    }

    static func name(_ number: UInt32) -> String { table.withLock { $0.names[Int(number)] } }
}
