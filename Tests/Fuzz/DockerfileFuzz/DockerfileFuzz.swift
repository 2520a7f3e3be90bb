import Dockerfile
import StackModel

/// What libFuzzer calls with each input: a Dockerfile and, behind a byte 0xFF, a `.dockerignore`. Whatever they hold,
/// the file is read or refused with a message; what was read is checked, its graph made for each target, and every
/// instruction expanded. A crash, a hang or a fill of memory is a fault.
///
///     make fuzz-dockerfile FUZZ_SECONDS=600
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDockerfile(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let parts = bytes.split(separator: 0xFF, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
    let ignore = patterns(parts.count > 1 ? parts[1] : parts[0])
    do throws(DockerfileError) {
        build(try Dockerfile(parsing: parts[0]), ignore)
    } catch {
        check(error.diagnostics)
    }
    return 0
}

private func patterns(_ bytes: [UInt8]) -> IgnorePatterns? {
    do throws(DockerfileError) {
        let patterns = try IgnorePatterns(parsing: bytes)
        for path in ["a", "a/b/c.txt", ".", "/", "", "../x", "é/[b]\\"] {
            let walk = patterns.follow(path, IgnorePatterns.Walk())
            if patterns.ignores(path), patterns.canSkip(path, walk) {
                precondition(patterns.ignores(path + "/child"), "skipped what is not ignored")
            }
        }
        return patterns
    } catch {
        check(error.diagnostics)
        return nil
    }
}

private func build(_ file: Dockerfile, _ ignore: IgnorePatterns?) {
    var options = BuildOptions(platform: Platform(architecture: "amd64"))
    options.ignore = ignore
    options.arguments = ["A": "1", "HTTP_PROXY": "x"]
    let result = file.check(options) { _ in BaseImage(environment: ["B=a/b.c"]) }
    check(result.errors)
    for warning in result.warnings { check([file.diagnostic(warning)]) }
    for stage in file.stages.prefix(8) {
        options.target = stage.name
        do throws(DockerfileError) {
            expand(try BuildGraph(file, options))
        } catch {
            check(error.diagnostics)
        }
    }
}

private func expand(_ graph: BuildGraph) {
    precondition(graph.needed.contains(graph.target))
    for stage in graph.needed {
        var scope = StageScope(graph, stage: stage, base: .scratch)
        for instruction in graph.nodes[stage].instructions {
            do throws(DockerfileError) {
                let expanded = try scope.expand(instruction)
                _ = scope.history(of: expanded)
                precondition(!scope.title(of: instruction).isEmpty)
            } catch {
                check(error.diagnostics)
            }
        }
        precondition(scope.workingDirectory.utf8.first == 0x2F)
        _ = scope.runEnvironment + scope.argumentHistory
    }
}

private func check(_ diagnostics: [Diagnostic]) {
    for diagnostic in diagnostics {
        precondition(!diagnostic.message.isEmpty)
        precondition((diagnostic.source?.line ?? 0) >= 1 && (diagnostic.source?.column ?? 0) >= 1)
    }
}
