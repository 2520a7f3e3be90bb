import StackModel
import Testing

@testable import gantry

@Suite struct TimesTests {
    private static let durations: [(Int64, String)] = [
        (-5, "Less than a second"), (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"),
        (60, "About a minute"), (119, "About a minute"), (120, "2 minutes"), (3599, "59 minutes"),
        (3600, "About an hour"), (5400, "2 hours"), (169_200, "47 hours"), (172_800, "2 days"), (1_123_200, "13 days"),
        (1_209_600, "2 weeks"), (5_184_000, "2 months"), (62_985_600, "24 months"), (63_158_400, "2 years"),
    ]

    @Test(arguments: durations) func saysDurationsAsDockerDoes(_ seconds: Int64, _ text: String) {
        #expect(humanDuration(seconds: seconds) == text)
    }

    @Test(arguments: [
        (0, "0B"), (999, "999B"), (1000, "1kB"), (1234, "1.23kB"), (7_050_000, "7.05MB"), (12_340_000, "12.3MB"),
        (133_400_000, "133MB"), (1_050_000_000, "1.05GB"), (-1, "0B"), (Int64.max, "9.22EB"),
    ]) func saysSizesAsDockerDoes(_ bytes: Int64, _ text: String) {
        #expect(humanSize(bytes: bytes) == text)
    }

    @Test func zeroTimeIsNone() {
        #expect(humanAge(of: "0001-01-01T00:00:00Z", now: noon) == nil)
        #expect(humanAge(of: nil, now: noon) == nil)
        #expect(humanAge(of: "2026-03-01T11:59:00Z", now: noon) == "About a minute")
    }
}
