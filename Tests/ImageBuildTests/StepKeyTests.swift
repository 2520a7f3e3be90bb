import Images
import Testing

@testable import ImageBuild

@Suite struct StepKeyTests {
    private let parent = Digest.sha256(of: [1])

    private func digest(_ fill: (StepKey) -> Void) -> Digest {
        let key = StepKey(parent: parent, "run")
        fill(key)
        return key.finish()
    }

    @Test func equalPartsGiveEqualKeys() {
        #expect(digest { $0.add("a", "b") } == digest { $0.add("a", "b") })
    }

    /// Parts that run into each other must not look alike.
    @Test func bordersCount() {
        let keys = [
            digest { $0.add("ab", "c") }, digest { $0.add("a", "bc") }, digest { $0.add("a", ["b", "c"]) },
            digest { $0.add("a", ["bc"]) },
            digest {
                $0.add("a", "b")
                $0.add("a", "c")
            },
            digest { $0.add("a", nil as String?) }, digest { $0.add("a", "") }, digest { $0.add("a", [""]) },
        ]
        #expect(Set(keys).count == keys.count)
    }

    @Test func kindAndParentCount() {
        let other = StepKey(parent: Digest.sha256(of: [2]), "run")
        let copy = StepKey(parent: parent, "copy")
        #expect(Set([digest { _ in }, other.finish(), copy.finish()]).count == 3)
    }
}
