import Images
import Testing

@testable import Engine

@Suite struct BuildCacheTransferTests {
    @Test func aCacheHasNoMoreLayersThanAnImage() {
        func digest(_ number: Int) -> Digest { Digest.sha256(of: Array("\(number)".utf8)) }
        func record(_ layer: Int?, at second: Int) -> BuildRecord {
            let built = layer.map { BuiltLayer(diffID: digest($0), tarByteCount: 1, byteCount: 1) }
            return BuildRecord(key: digest(0), layer: built, created: "2026-01-31T10:00:0\(second)Z")
        }
        let records = [
            digest(1): record(11, at: 1), digest(2): record(12, at: 2), digest(3): record(13, at: 3),
            digest(4): record(11, at: 4), digest(5): record(nil, at: 5),
        ]
        let kept = BuildCacheTransfer.fitting(records, layerCountMax: 2)
        #expect(Set(kept.keys) == Set([1, 2, 4, 5].map(digest)))
        #expect(BuildCacheTransfer.fitting(records, layerCountMax: 3).count == 5)
    }
}
