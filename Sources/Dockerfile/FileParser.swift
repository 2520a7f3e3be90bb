/// Gathers stages and faults of a file.
struct FileParser {
    var globalArguments: [Instruction] = []
    var stages: [Stage] = []
    /// With `isTrigger`: the instructions, which belong to no stage.
    var triggers: [Instruction] = []
    var faults: [Fault] = []
    var emptyContinuations: [SourcePosition] = []
    /// The last line has `<< NAME` and nothing ends it: what follows are perhaps no instructions.
    private var lostHeredoc: String?

    mutating func read(_ start: LineReader, isTrigger: Bool = false) {
        var reader = start
        var hasInstructions = false
        var count = 0
        while faults.count < Dockerfile.errorsMax, let line = reader.nextInstruction() {
            hasInstructions = true
            count += 1
            guard count <= Dockerfile.instructionsMax else {
                let place = line.text.range(line.text.trimmed(line.text.all))
                faults.append(Fault(.limit, "more than \(Dockerfile.instructionsMax) instructions", at: place))
                break
            }
            if let empty = line.emptyContinuation {
                emptyContinuations.append(SourcePosition(line: empty, column: 1))
            }
            do throws(Fault) {
                let before = lostHeredoc
                try read(line, &reader, isTrigger)
                if before != nil, lostHeredoc == before { lostHeredoc = nil }
            } catch {
                faults.append(explained(error))
                if lostHeredoc != nil { break }
            }
        }
        guard faults.isEmpty, !isTrigger else { return }
        if !hasInstructions {
            let hint = "a Dockerfile starts with FROM and the image to build on"
            faults.append(Fault(.syntax, "file with no instructions", at: .start, hint: hint))
        } else if stages.isEmpty {
            faults.append(
                Fault(.syntax, "dockerfile contains no stages to build", at: .start, hint: "add FROM and an image"))
        }
    }

    private func explained(_ fault: Fault) -> Fault {
        guard let lostHeredoc, fault.code == .instruction else { return fault }
        var fault = fault
        fault.hint = "the heredoc in the line before does not end: no later line is '\(lostHeredoc)' alone"
        return fault
    }

    /// `<< NAME` without an end is no heredoc: it may be a shift.
    private mutating func heredocs(_ line: LogicalLine, _ reader: inout LineReader) throws(Fault) -> [Heredoc] {
        var heredocs: [Heredoc] = []
        for var heredoc in Heredoc.started(by: String(scalars: line.text.scalars)) {
            if let content = reader.heredocContent(terminator: heredoc.name, stripsTabs: heredoc.stripsTabs) {
                heredoc.content = content
                heredocs.append(heredoc)
            } else if heredoc.isSpaced {
                lostHeredoc = heredoc.name
            } else {
                reader.skipAll()
                let whole = line.text.range(line.text.trimmed(line.text.all))
                throw Fault(
                    .syntax, "unterminated heredoc", at: whole,
                    hint: "no line after this one is '\(heredoc.name)' alone")
            }
        }
        return heredocs
    }

    private mutating func read(_ line: LogicalLine, _ reader: inout LineReader, _ isTrigger: Bool) throws(Fault) {
        let escape = reader.directives.escape
        let hasHeredocs = InstructionParser.startsHeredocs(line.text, escape: escape)
        let heredocs = hasHeredocs ? try heredocs(line, &reader) : []
        let parser = InstructionParser(text: line.text, escape: escape, heredocs: heredocs)
        var range = line.text.range(line.text.trimmed(line.text.all))
        if !heredocs.isEmpty, reader.line > 0, reader.line <= reader.lines.count {
            range.end = SourcePosition(line: reader.line, column: reader.lines[reader.line - 1].count + 1)
        }
        if parser.name == "FROM", !isTrigger {
            stages.append(try stage(parser, line, range))
        } else {
            try add(instruction(parser, line, range), isTrigger)
        }
    }

    private func instruction(_ parser: InstructionParser, _ line: LogicalLine, _ range: SourceRange) throws(Fault)
        -> Instruction
    {
        var command = try parser.command()
        if case .argument(var definitions) = command {
            for index in definitions.indices {
                definitions[index].comment = describing(definitions[index].name.text, line.comments)
            }
            command = .argument(definitions)
        }
        return Instruction(
            keyword: parser.keyword, command: command, range: range,
            source: line.text.string(line.text.trimmed(line.text.all)), heredocs: parser.heredocs,
            comments: line.comments)
    }

    private mutating func add(_ instruction: Instruction, _ isTrigger: Bool) throws(Fault) {
        if isTrigger {
            var trigger = instruction
            trigger.isTrigger = true
            triggers.append(trigger)
        } else if !stages.isEmpty {
            stages[stages.count - 1].instructions.append(instruction)
        } else if case .argument = instruction.command {
            globalArguments.append(instruction)
        } else {
            throw Fault(
                .syntax, "no build stage in current context", at: instruction.keyword.range,
                hint: "only ARG may stand before the first FROM")
        }
    }

    // MARK: - FROM

    private func stage(_ parser: InstructionParser, _ line: LogicalLine, _ range: SourceRange) throws(Fault) -> Stage {
        guard stages.count < Dockerfile.stagesMax else {
            throw parser.fault(.limit, "more than \(Dockerfile.stagesMax) stages")
        }
        let flags = try parser.flags(["platform": .single])
        let words = parser.splitter.blankSeparated(parser.rest)
        let hasName = words.count == 3 && words[1].text.lowercased() == "as"
        guard hasName || words.count == 1, let base = words.first else {
            throw parser.fault(
                .syntax, "FROM requires either one or three arguments", hint: "write FROM IMAGE, or FROM IMAGE AS NAME")
        }
        return Stage(
            index: stages.count, name: hasName ? try stageName(words[2]) : nil, nameWord: hasName ? words[2] : nil,
            base: base, platform: flags["platform"], keyword: parser.keyword, asKeyword: hasName ? words[1] : nil,
            range: range, source: line.text.string(line.text.trimmed(line.text.all)), comments: line.comments)
    }

    private func stageName(_ word: Word) throws(Fault) -> String {
        let name = word.text.lowercased()
        let isValid = name.utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || [0x2D, 0x5F, 0x2E].contains(byte)
        }
        guard isValid, let first = name.utf8.first, (0x61...0x7A).contains(first) else {
            throw Fault(
                .syntax,
                "invalid name for build stage: \(GoValue.quoted(word.text)), name can't start with a number or "
                    + "contain symbols",
                at: word.range, hint: "use letters, digits, '-', '_' and '.', a letter first")
        }
        return name
    }
}
