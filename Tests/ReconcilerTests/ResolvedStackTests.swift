import Reconciler
import StackModel
import Testing

@Suite struct ResolvedStackTests {
    private func resolved(
        _ stack: Stack, image: String = "sha256:1", scale: [String: Int] = [:]
    ) -> ResolvedStack {
        ResolvedStack(stack: stack, imageIDs: stack.services.mapValues { _ in image }, scale: scale)
    }

    private let base = shop(["web": service(replicas: 2)])

    /// Spelling, places in the file, and what no container knows of are no differences.
    @Test func whatMeansTheSameIsTheSame() {
        var spelt = base
        spelt.sources = ["services.web": SourceMark(file: "other.yaml", line: 9, column: 1)]
        spelt.services["web"]?.profiles = ["debug"]
        #expect(resolved(spelt).isSame(as: resolved(base)))
        #expect(resolved(base, scale: ["web": 2]).isSame(as: resolved(base)))
    }

    @Test func everyDifferenceCounts() {
        let changed: [Stack] = [
            base.with { $0.services["web"]?.user = "nobody" },
            base.with { $0.services["web"]?.restart.mode = .always },
            base.with { $0.services["new"] = service() },
            base.with { $0.networks["front"] = Network() },
            base.with { $0.networks["default"]?.isInternal = true },
            base.with { $0.volumes["data"] = Volume() },
        ]
        for stack in changed {
            #expect(!resolved(stack).isSame(as: resolved(base)))
            #expect(!resolved(base).isSame(as: resolved(stack)))
        }
        #expect(!resolved(base, image: "sha256:2").isSame(as: resolved(base)))
        #expect(!resolved(base, scale: ["web": 3]).isSame(as: resolved(base)))
    }
}
