import CLibYAML
import StackModel

/// One parsing event of libyaml in Swift values.
enum YAMLEvent {
    case streamEnd
    case documentStart
    case documentEnd
    case alias(String)
    case scalar(text: String, tag: String?, plain: Bool, anchor: String?)
    case sequenceStart(tag: String?, anchor: String?)
    case sequenceEnd
    case mappingStart(tag: String?, anchor: String?)
    case mappingEnd
}

/// Pulls events out of libyaml. libyaml checks that the input is UTF-8 (or UTF-16 with a byte-order mark).
final class YAMLEvents {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>
    private let file: String

    /// `nil` when libyaml has no memory.
    init?(_ bytes: [UInt8], file: String) {
        self.file = file
        input = .allocate(capacity: max(bytes.count, 1))
        _ = input.initialize(from: bytes + (bytes.isEmpty ? [0x0A] : []))
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            input.deallocate()
            return nil
        }
        yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    /// The next event and where it starts. A syntax error ends the stream: do not call again after one.
    func next() throws(Diagnostic) -> (event: YAMLEvent, mark: SourceMark) {
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxError() }
            defer { yaml_event_delete(&event) }
            if let converted = convert(event) { return (converted, mark(event.start_mark)) }
        }
    }

    private func convert(_ event: yaml_event_t) -> YAMLEvent? {
        switch event.type {
        case YAML_DOCUMENT_START_EVENT: return .documentStart
        case YAML_DOCUMENT_END_EVENT: return .documentEnd
        case YAML_ALIAS_EVENT: return .alias(text(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            return .scalar(
                text: String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self),
                tag: text(scalar.tag), plain: scalar.style == YAML_PLAIN_SCALAR_STYLE, anchor: text(scalar.anchor))
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            return .sequenceStart(tag: text(start.tag), anchor: text(start.anchor))
        case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            return .mappingStart(tag: text(start.tag), anchor: text(start.anchor))
        case YAML_MAPPING_END_EVENT: return .mappingEnd
        case YAML_STREAM_START_EVENT: return nil
        default: return .streamEnd
        }
    }

    private func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: UnsafePointer($0)) }
    }

    private func mark(_ mark: yaml_mark_t) -> SourceMark {
        SourceMark(file: file, line: Int(clamping: mark.line) + 1, column: Int(clamping: mark.column) + 1)
    }

    private func syntaxError() -> Diagnostic {
        let state = parser.pointee
        let problem = state.problem.map { String(cString: $0) } ?? "cannot be parsed"
        guard state.error == YAML_READER_ERROR else {
            let context = state.context.map { String(cString: $0) }
            let found = YAMLProblem(
                problem: problem, context: context ?? "", mark: mark(state.problem_mark),
                contextMark: context.map { _ in mark(state.context_mark) })
            return explain(found, lines: YAMLLines(sourceLines(Array(input))))
        }
        // The reader knows only the offset.
        let before = input.prefix(state.problem_offset)
        let line = before.count(where: { $0 == 0x0A }) + 1
        let column = before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        let byte = input.indices.contains(before.count) ? Int(input[before.count]) : 0
        return explainBytes(
            problem, value: state.problem_value >= 0 ? Int(state.problem_value) : byte, offset: before.count,
            at: SourceMark(file: file, line: line, column: column))
    }
}
