import StackModel

extension Dockerfile {
    /// Everything the checks find, in the order of the places, as `docker build --check` tells it: of every stage, or of
    /// those that `options.target` needs. `images` says what is known of a base image; without it no variable of a
    /// stage on that image is called undefined. Throws what makes the build impossible.
    public func check(
        _ options: BuildOptions, images: (String) -> BaseImage? = { _ in nil }
    ) throws(DockerfileError) -> [LintWarning] {
        let graph = try BuildGraph(self, options)
        var report = LintReport(lintOptions)
        report.add(layoutWarnings())
        report.add(graph.warnings)
        var scopes: [Int: StageScope] = [:]
        var diagnostics: [Diagnostic] = []
        for node in graph.nodes where options.target == nil || graph.needed.contains(node.stage) {
            var scope = Self.scope(node, graph, scopes, images)
            for instruction in node.instructions {
                do throws(DockerfileError) {
                    _ = try scope.expand(instruction)
                } catch {
                    diagnostics += error.diagnostics
                }
            }
            scopes[node.stage] = scope
            report.add(scope.warnings)
        }
        guard diagnostics.isEmpty else { throw DockerfileError(diagnostics) }
        return report.warnings.sorted { ($0.range.start, $0.rule.rawValue) < ($1.range.start, $1.rule.rawValue) }
    }

    private static func scope(
        _ node: BuildGraph.Node, _ graph: BuildGraph, _ scopes: [Int: StageScope], _ images: (String) -> BaseImage?
    ) -> StageScope {
        switch node.base {
        case .stage(let base):
            scopes[base].map { StageScope(continuing: $0, stage: node.stage) }
                ?? StageScope(graph, stage: node.stage, base: .unknown)
        case .scratch: StageScope(graph, stage: node.stage, base: .scratch)
        case .image(let name): StageScope(graph, stage: node.stage, base: images(name) ?? .unknown)
        case .context: StageScope(graph, stage: node.stage, base: .unknown)
        }
    }

    /// Why warnings fail the build, where `# check=error=true` says so.
    public func lintError(_ warnings: [LintWarning]) -> DockerfileError? {
        guard lintOptions.warningsAreErrors, !warnings.isEmpty else { return nil }
        let rules = Set(warnings.map(\.rule.rawValue)).sorted().joined(separator: ", ")
        let range = directives.check?.range ?? .start
        return file.error([Fault(.check, "lint violation found for rules: \(rules)", at: range)])
    }
}
