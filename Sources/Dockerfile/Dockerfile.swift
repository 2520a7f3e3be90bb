/// A Dockerfile as BuildKit's frontend reads it (frontend 1.2x): stages with their instructions, every word with its
/// place. Nothing is expanded yet: `BuildGraph` resolves what stages start from, `StageScope` the words of their
/// instructions. https://docs.docker.com/reference/dockerfile/
public struct Dockerfile: Equatable, Sendable {
    public let directives: Directives
    /// ARG before the first FROM: for FROM only, and for stages that declare the name again.
    public let globalArguments: [Instruction]
    /// At least one.
    public let stages: [Stage]
    /// What `# check=` asks for.
    public let lintOptions: LintOptions
    let file: SourceFile
    let emptyContinuations: [SourcePosition]

    /// The largest file that is read.
    public static let bytesMax = 4 * 1024 * 1024
    /// The most stages a file may have.
    public static let stagesMax = 1000
    /// The most instructions a file may have.
    public static let instructionsMax = 10_000
    /// The most errors that are collected before reading ends.
    static let errorsMax = 20

    /// Reads the whole file; an error has all that is wrong with it, up to 20 faults. `name` is for messages.
    public init(parsing bytes: [UInt8], name: String = "Dockerfile") throws(DockerfileError) {
        let reader: LineReader
        var parser = FileParser()
        do throws(Fault) {
            guard bytes.count <= Self.bytesMax else {
                let message = "the file has \(bytes.count) bytes, more than \(Self.bytesMax)"
                throw Fault(.limit, message, at: .start, hint: "is it a Dockerfile?")
            }
            reader = try LineReader(bytes)
        } catch {
            let lines = bytes.count <= Self.bytesMax ? Self.lines(bytes) : []
            throw SourceFile(name: name, lines: lines).error([error])
        }
        file = SourceFile(name: name, lines: reader.lines.map { String(scalars: $0) })
        directives = reader.directives
        parser.read(reader)
        do throws(Fault) {
            lintOptions = try LintOptions(parsing: directives.check)
        } catch {
            parser.faults.append(error)
            lintOptions = LintOptions()
        }
        guard parser.faults.isEmpty else { throw file.error(parser.faults) }
        globalArguments = parser.globalArguments
        stages = parser.stages
        emptyContinuations = parser.emptyContinuations
    }

    private static func lines(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: 0x0A, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The name of the file, as in messages.
    public var name: String { file.name }

    /// The file's lines, without their ends.
    public var lines: [String] { file.lines }

    /// Counted from 1; nil for one that there is not.
    public func line(_ number: Int) -> String? { lines.indices.contains(number - 1) ? lines[number - 1] : nil }

    /// Reads the ONBUILD triggers of an image's configuration, to be carried out right after FROM. `image` is for
    /// messages.
    public static func triggers(_ expressions: [String], image: String) throws(DockerfileError) -> [Instruction] {
        var result: [Instruction] = []
        for expression in expressions {
            let file = SourceFile(
                name: "ONBUILD of \(image)", lines: expression.split(separator: "\n").map(String.init))
            do throws(Fault) {
                var parser = FileParser()
                parser.read(try LineReader(Array(expression.utf8)), isTrigger: true)
                if let fault = parser.faults.first { throw fault }
                guard parser.triggers.count == 1 else {
                    throw Fault(.syntax, "onbuild trigger should be a single expression", at: .start)
                }
                result += parser.triggers
            } catch {
                throw file.error([error])
            }
        }
        return result
    }
}

extension SourceRange {
    /// The first character of a file.
    static let start = SourceRange(
        start: SourcePosition(line: 1, column: 1), end: SourcePosition(line: 1, column: 1))
}

/// FROM and what follows it.
public struct Stage: Equatable, Sendable {
    /// Counted from 0, as in `COPY --from=0`.
    public let index: Int
    /// In lower case; `nil` where FROM gives none.
    public let name: String?
    /// The name as written.
    public let nameWord: Word?
    /// As written: an image, an earlier stage or `scratch`.
    public let base: Word
    public let platform: Word?
    /// FROM, as written.
    public let keyword: Word
    /// AS, as written.
    public let asKeyword: Word?
    /// The FROM instruction.
    public let range: SourceRange
    public let source: String
    public let comments: [String]
    public internal(set) var instructions: [Instruction] = []

    /// What progress and messages call it.
    public var title: String { name ?? "stage-\(index)" }

    /// What the comment above says of it.
    public var comment: String? { name.flatMap { describing($0, comments) } }
}

/// The rest of a comment `NAME what it is for`.
func describing(_ name: String, _ comments: [String]) -> String? {
    comments.first { $0.hasScalarPrefix(name + " ") }
        .map { String(scalars: $0.unicodeScalars.dropFirst(name.unicodeScalars.count + 1)) }
}
