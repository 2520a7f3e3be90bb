import Testing

@testable import DockerTranslation

@Suite struct StatusTextTests {
    private static let second: Int64 = 1_000_000_000

    @Test(
        arguments: [
            (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"), (2 * 3600, "2 hours"),
            (47 * 3600, "47 hours"), (48 * 3600, "2 days"), (13 * 86400, "13 days"), (14 * 86400, "2 weeks"),
            (59 * 86400, "8 weeks"), (60 * 86400, "2 months"), (729 * 86400, "24 months"), (730 * 86400, "2 years"),
        ] as [(Int64, String)])
    func durations(seconds: Int64, text: String) { #expect(humanDuration(seconds * Self.second) == text) }

    @Test func states() {
        func text(_ status: ShownState.Status, health: String? = nil) -> String {
            ShownState(
                status: status, health: health, exitCode: 3, startedAt: 0, finishedAt: 7 * Self.second
            ).text(now: 10 * Self.second)
        }
        #expect(text(.created) == "Created")
        #expect(text(.running) == "Up 10 seconds")
        #expect(text(.running, health: "starting") == "Up 10 seconds (health: starting)")
        #expect(text(.running, health: "unhealthy") == "Up 10 seconds (unhealthy)")
        #expect(text(.paused) == "Up 10 seconds (Paused)")
        #expect(text(.restarting) == "Restarting (3) 3 seconds ago")
        #expect(text(.exited) == "Exited (3) 3 seconds ago")
        #expect(text(.removing) == "Removal In Progress")
    }

    @Test func names() {
        #expect(isContainerName("a1_.-"))
        for bad in ["", "a", "-ab", "_ab", "a b", "a/b", "ä1"] { #expect(!isContainerName(bad), "\(bad)") }
        var generator = SystemRandomNumberGenerator()
        var tried = 0
        let name = randomContainerName(using: &generator) { _ in
            tried += 1
            return tried < 30
        }
        #expect(isContainerName(name))
    }
}
