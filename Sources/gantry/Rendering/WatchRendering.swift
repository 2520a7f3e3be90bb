/// What `watch` says of itself, in Docker Compose's words.
enum WatchNote: Equatable {
    case enabled
    case disabled
    case initialSync(service: String, count: Int)
    case syncing(service: String, count: Int)
    case restarted([String])
    case rebuilding([String])
    case rebuilt([String])
    case largeBatch

    var text: String {
        switch self {
        case .enabled: "Watch enabled"
        case .disabled: "Watch disabled"
        case .initialSync(let service, let count):
            "Syncing service \"\(service)\" with \(count) files at the start"
        case .syncing(let service, let count): "Syncing service \"\(service)\" after \(count) changes were detected"
        case .restarted(let services): "service(s) \(Self.list(services)) restarted"
        case .rebuilding(let services):
            "Rebuilding service(s) \(Self.list(services)) after changes were detected..."
        case .rebuilt(let services): "service(s) \(Self.list(services)) successfully built"
        case .largeBatch: "Large batch of file changes detected. If you just switched branches, this is expected."
        }
    }

    /// Go's `%q` of a list: `["db" "web"]`.
    private static func list(_ services: [String]) -> String {
        "[" + services.map { "\"\($0)\"" }.joined(separator: " ") + "]"
    }
}

/// The line for a mode of progress; `nil`: nothing is said.
func watchLine(_ note: WatchNote, _ mode: ProgressMode, color: Bool) -> String? {
    switch mode {
    case .quiet: nil
    case .json:
        JSONText.object([("id", .string("watch")), ("text", .string(note.text)), ("status", .string("Done"))]).text
    case .auto, .tty, .plain: coloured("⦿", .cyan, color) + " " + note.text
    }
}
