import StackModel

extension Dockerfile {
    /// What the checks found.
    public struct CheckResult: Equatable, Sendable {
        /// In the order of their places.
        public var warnings: [LintWarning]
        /// What makes the build impossible.
        public var errors: [Diagnostic]
    }

    /// Everything the checks find, as `docker build --check` tells it: of every stage, or of those that
    /// `options.target` needs. `images` says what is known of a base image; without it no variable of a stage on that
    /// image is called undefined.
    public func check(_ options: BuildOptions, images: (String) -> BaseImage? = { _ in nil }) -> CheckResult {
        var report = LintReport(lintOptions)
        report.add(layoutWarnings())
        report.add(BuildGraph.fromWarnings(self, options))
        var errors: [Diagnostic] = []
        do throws(DockerfileError) {
            errors = checkStages(try BuildGraph(self, options), images, &report)
        } catch {
            errors = error.diagnostics
        }
        let warnings = report.warnings.sorted {
            ($0.range.start, $0.rule.rawValue) < ($1.range.start, $1.rule.rawValue)
        }
        return CheckResult(warnings: warnings, errors: errors)
    }

    private func checkStages(
        _ graph: BuildGraph, _ images: (String) -> BaseImage?, _ report: inout LintReport
    ) -> [Diagnostic] {
        let options = graph.options
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
        return diagnostics
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
