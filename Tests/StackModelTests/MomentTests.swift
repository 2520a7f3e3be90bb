import StackModel
import Testing

@Suite struct MomentTests {
    /// 2026-03-01T12:00:00Z.
    private static let noon = Moment(nanoseconds: 1_772_366_400_000_000_000)

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-03-01T12:00:00Z", 1_772_366_400_000_000_000),
        ("2026-03-01T12:00:00.5Z", 1_772_366_400_500_000_000),
        ("2026-03-01T12:00:00.1234567891Z", 1_772_366_400_123_456_789),
        ("2026-03-01T13:30:00+01:30", 1_772_366_400_000_000_000), ("2026-03-01", 1_772_323_200_000_000_000),
        ("2026-03-01T12:00", 1_772_366_400_000_000_000), ("2024-02-29T00:00:00Z", 1_709_164_800_000_000_000),
        ("1969-12-31T23:59:59Z", -1_000_000_000),
    ]) func readsRFC3339(_ text: String, _ nanoseconds: Int64) {
        #expect(Moment(rfc3339: text)?.nanoseconds == nanoseconds)
    }

    @Test(arguments: [
        "", "2026", "2026-3-1", "2026-13-01", "2026-00-01", "2026-01-32", "2026-01-01T", "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1", "2026-01-01T00:00:00Zx", "9999-12-31T23:59:59Z",
        "٢٠٢٦-01-01",
    ]) func refusesWhatIsNoTime(_ text: String) {
        #expect(Moment(rfc3339: text) == nil)
    }

    @Test(arguments: [
        ("90", 90_000_000_000), ("1.5", 1_500_000_000), ("1m30s", 90_000_000_000), ("500ms", 500_000_000),
        ("1.5h", 5_400_000_000_000), ("0", 0), ("1h2m3s4ms5us6ns", 3_723_004_005_006),
    ]) func readsDurations(_ text: String, _ nanoseconds: Int64) {
        #expect(TimeSpan(argument: text)?.nanoseconds == nanoseconds)
    }

    @Test(arguments: ["", "-1", "x", "1x", "1 m", "m", ".5", "5.", "1e9", "99999999999999999999", "nan", "inf", "1m30"])
    func refusesWhatIsNoDuration(_ text: String) {
        #expect(TimeSpan(argument: text) == nil)
    }

    @Test func readsTimesOfLogs() {
        #expect(Moment(argument: "10m", now: Self.noon)?.unixText == "1772365800.000000000")
        #expect(Moment(argument: "1700000000.25", now: Self.noon)?.unixText == "1700000000.250000000")
        #expect(Moment(argument: "2026-03-01T12:00:00.5Z", now: Self.noon)?.unixText == "1772366400.500000000")
        #expect(Moment(argument: "yesterday", now: Self.noon) == nil)
    }
}
