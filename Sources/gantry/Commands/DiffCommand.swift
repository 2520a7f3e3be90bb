import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show how the stack file differs from what is applied, or a container from its image.",
        usage: "gantry diff [<global options>] [<options>] [<container or service> | <revision> [<revision>]]",
        discussion: """
            Without arguments: the stack file against the applied revision, field by
            field. With a number: that revision against the applied one, or against a
            second. With a container or service: the files that it changed in its image;
            A is added, C changed, D deleted.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(help: "Number of the service's container.")
    var index: Int?

    @Flag(help: "Exit code 2 when there are differences.")
    var detailedExitcode = false

    @Argument(help: "A container, a service, or numbers of revisions.")
    var subjects: [String] = []

    func validate() throws {
        if subjects.count > 2 { throw ValidationError("at most two revisions can be compared") }
        if subjects.count == 2, revisions == nil {
            throw ValidationError("two arguments are two numbers of revisions")
        }
    }

    /// Numbers as short as these are no ids of containers.
    private var revisions: [Int]? {
        let digitCountMax = 6
        let numbers = subjects.compactMap { $0.utf8.count <= digitCountMax ? Int($0) : nil }
        return numbers.count == subjects.count && numbers.allSatisfy { $0 > 0 } ? numbers : nil
    }

    func run() throws {
        let session = Session(global, file)
        guard let revisions, index == nil else { return try showFiles(subjects[0], session) }
        let diff: DiffReply
        if revisions.isEmpty {
            let target = try session.target(services: [])
            guard let stack = target.stack else {
                throw CommandFailure.usage(
                    "there is no stack file to compare", hint: "name two revisions, as in `gantry diff 1 2`")
            }
            diff = try session.engine().differences(stack: target.name, DiffRequest(stack: stack))
        } else {
            let name = try session.target(services: []).name
            let request = DiffRequest(from: revisions[0], to: revisions.count > 1 ? revisions[1] : nil)
            diff = try session.engine().differences(stack: name, request)
        }
        try session.output.write(
            renderDiff(diff, folder: session.workingDirectory, color: session.output.color))
        if detailedExitcode, !diff.sections.isEmpty { throw ExitCode(2) }
    }

    private func showFiles(_ container: String, _ session: Session) throws {
        let id = try NamedContainers.find(container, index: index, session).first
        let lines = try session.engine().changes(id).map { "\($0.letter) \(harmless($0.Path))\n" }
        try session.output.write(lines.joined())
        if detailedExitcode, !lines.isEmpty { throw ExitCode(2) }
    }
}
