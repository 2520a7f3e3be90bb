import StackModel

@testable import Dockerfile

func parse(_ text: String) throws(DockerfileError) -> Dockerfile { try Dockerfile(parsing: Array(text.utf8)) }

/// The instructions of the first stage of `FROM debian` and `text`.
func instructions(_ text: String) throws(DockerfileError) -> [Instruction] {
    try parse("FROM debian\n" + text).stages[0].instructions
}

/// The errors of reading `text`, as `LINE:COLUMN: MESSAGE`.
func faults(_ text: String) -> [String] {
    do throws(DockerfileError) {
        _ = try parse(text)
        return []
    } catch {
        return error.diagnostics.map(short)
    }
}

func short(_ diagnostic: Diagnostic) -> String {
    "\(diagnostic.source?.line ?? 0):\(diagnostic.source?.column ?? 0): \(diagnostic.message)"
}

let options = BuildOptions(platform: Platform(architecture: "amd64"))

func graph(_ text: String, _ change: (inout BuildOptions) -> Void = { _ in }) throws(DockerfileError) -> BuildGraph {
    var options = options
    change(&options)
    return try BuildGraph(parse(text), options)
}

/// Why there is no graph, as `LINE:COLUMN: MESSAGE`.
func graphFaults(_ text: String, _ change: (inout BuildOptions) -> Void = { _ in }) -> [String] {
    do throws(DockerfileError) {
        _ = try graph(text, change)
        return []
    } catch {
        return error.diagnostics.map(short)
    }
}

/// Every instruction of the target expanded, stages before it first.
func expanded(
    _ text: String, base: BaseImage = BaseImage(), _ change: (inout BuildOptions) -> Void = { _ in }
) throws(DockerfileError) -> (commands: [Command], scope: StageScope) {
    let graph = try graph(text, change)
    var scopes: [Int: StageScope] = [:]
    var commands: [Command] = []
    for stage in graph.needed {
        var scope = StageScope(graph, stage: stage, base: base)
        if case .stage(let base) = graph.nodes[stage].base, let from = scopes[base] {
            scope = StageScope(continuing: from, stage: stage)
        }
        commands = []
        for instruction in graph.nodes[stage].instructions { commands.append(try scope.expand(instruction).command) }
        scopes[stage] = scope
    }
    return (commands, scopes[graph.target] ?? StageScope(graph, stage: graph.target, base: base))
}

extension Command {
    /// The words of the commands that have a list, for short expectations.
    var texts: [String] {
        switch self {
        case .expose(let words), .volume(let words), .shell(let words): words.map(\.text)
        case .user(let word), .workdir(let word), .stopSignal(let word), .maintainer(let word): [word.text]
        case .env(let pairs), .label(let pairs): pairs.map { "\($0.key.text)=\($0.value.text)" }
        case .argument(let definitions):
            definitions.map { $0.name.text + ($0.defaultValue.map { "=" + $0.text } ?? "") }
        case .copy(let copy): copy.sources.map(\.text) + [copy.destination.text]
        case .add(let add): add.copy.sources.map(\.text) + [add.copy.destination.text]
        case .run(let run): run.invocation.arguments()
        case .cmd(let invocation), .entrypoint(let invocation): invocation.arguments()
        case .healthcheck(let check): check.test
        case .onbuild(let trigger): [trigger.expression]
        }
    }
}
