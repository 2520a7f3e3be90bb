import EngineClient

/// What is known about every layer of a pull or push, and how that looks.
struct TransferBoard {
    private static let lineCountMax = 1000
    private static let barWidth = 30

    private(set) var lines: [TransferLine] = []

    /// Takes in a line about a layer; whether it says something new besides bytes.
    mutating func update(_ line: TransferLine) -> Bool {
        guard let index = lines.firstIndex(where: { $0.id == line.id }) else {
            if lines.count < Self.lineCountMax { lines.append(line) }
            return true
        }
        let isNews = lines[index].status != line.status
        lines[index] = line
        return isNews
    }

    /// One line a layer; where there are more than fit, the last ones.
    func frame(columns: Int, rows: Int) -> [String] {
        lines.suffix(max(1, rows - 2)).map { line in
            var text = "\(harmless(line.id)): \(harmless(line.status))"
            if let current = line.current, let total = line.total, total > 0 {
                text =
                    text.padded(to: 28)
                    + " \(Self.bar(current, of: total)) \(humanSize(bytes: current))/\(humanSize(bytes: total))"
            }
            return text.truncated(to: max(8, columns - 1))
        }
    }

    static func bar(_ current: Int64, of total: Int64) -> String {
        let share = min(max(Double(current) / Double(total), 0), 1)
        let filled = Int(share * Double(barWidth))
        return "[" + String(repeating: "=", count: filled) + (filled < barWidth ? ">" : "")
            + String(repeating: " ", count: max(0, barWidth - filled - 1)) + "]"
    }
}
