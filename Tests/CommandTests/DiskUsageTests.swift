import EngineWire
import StackModel
import Testing

@testable import gantry

@Suite struct DiskUsageTests {
    @Test func buildsAreInTheVerboseLists() throws {
        let item = BuildCacheItem(
            ID: "0123456789ab", type: "regular", InUse: false, Shared: false, Size: 2_000_000,
            LastUsedAt: "2026-01-31T10:00:00Z")
        let usage = DiskUsageReply(
            LayersSize: 0, ImagesReclaimable: nil, Images: [], Containers: [], Volumes: [], BuildCache: [item])
        let now = try #require(Moment(rfc3339: "2026-01-31T12:00:00Z"))
        let looks = DiskUsageLooks(usage: usage, now: now)
        let text = try looks.verboseText()
        #expect(text.contains("Build cache usage: 2MB\n"))
        #expect(text.contains("0123456789ab   regular      2MB       2 hours ago   false"))
        #expect(looks.verboseJSON.text.contains(#""BuildCache":[{"CacheType":"regular","ID":"0123456789ab""#))
    }
}
