/// What a list's `--format` says, as Docker's: `table`, `json`, `TEMPLATE` or `table TEMPLATE`.
enum ListFormat {
    case table
    case json
    case template(FormatTemplate)
    case tableTemplate(FormatTemplate)

    init(_ text: String) throws(CommandFailure) {
        switch text {
        case "table", "": self = .table
        case "json": self = .json
        default:
            if text.hasPrefix("table ") {
                self = .tableTemplate(try FormatTemplate(String(text.dropFirst("table ".count))))
                return
            }
            guard text.contains("{{") else {
                throw .usage(
                    "there is no format '\(text)'", hint: "use table, json, or a template such as '{{.ID}}'")
            }
            self = .template(try FormatTemplate(text))
        }
    }

    static let help = "table, json, or a Go template of the fields."
}

/// Rows of a list: each an object of the fields that a template can name, and the table's columns.
struct Listing {
    /// Field and heading; also what a template with `table` prints above its columns.
    var columns: [(field: String, heading: String)]
    /// Of the fields that are no columns.
    var headings: [(field: String, heading: String)] = []
    var rows: [JSONText]

    func render(_ format: ListFormat) throws(CommandFailure) -> String {
        switch format {
        case .table: return renderTable(columns.map(\.heading), rows.map { row in columns.map { row[$0.field] } })
        case .json: return rows.map { $0.text + "\n" }.joined()
        case .template(let template):
            // Unknown fields are told also when there are no rows.
            _ = try template.render(header, strict: true)
            var text = ""
            for row in rows { text += harmless(try template.render(row, strict: true), .paragraphs) + "\n" }
            return text
        case .tableTemplate(let template):
            let heading = cells(try template.render(header, strict: true))
            var lines: [[String]] = []
            for row in rows { lines.append(cells(try template.render(row, strict: true))) }
            return renderTable(heading, lines)
        }
    }

    private var header: JSONText {
        .object((columns + headings).map { ($0.field, JSONText.string($0.heading)) })
    }

    private func cells(_ text: String) -> [String] {
        text.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }
}

extension JSONText {
    /// The text of an object's member; empty without one.
    subscript(_ name: String) -> String {
        guard case .object(let members) = self, let member = members.first(where: { $0.0 == name }) else { return "" }
        return member.1.shown
    }
}
