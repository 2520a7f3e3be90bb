import FoundationEssentials
import Testing

@testable import Timetable

private let folder = "/usr/share/zoneinfo"
private let hasZones = FileManager.default.fileExists(atPath: "\(folder)/Europe/Berlin")

func zone(_ name: String) throws -> TimeZoneRules {
    let data = try #require(FileManager.default.contents(atPath: "\(folder)/\(name)"))
    return try TimeZoneRules(file: Array(data))
}

@Suite struct TimeZoneTests {
    /// Seconds since 1970 and the offset then, as Python's `zoneinfo` has them.
    private static let known: [(String, [(Int64, Int64)])] = [
        (
            "Europe/Berlin",
            [
                (-2_000_000_000, 3600), (0, 3600), (2_675_342_405, 7200), (1_097_127_993, 7200), (2_965_446_622, 3600),
                (2_800_454_814, 7200),
            ]
        ),
        (
            "America/New_York",
            [(0, -18000), (124_576_495, -18000), (1_999_834_075, -14400), (2_787_324_501, -14400)]
        ),
        (
            "Australia/Lord_Howe",
            [(0, 36000), (486_215_926, 37800), (1_596_840_319, 37800), (2_014_636_194, 39600), (2_335_435_112, 39600)]
        ),
        (
            "Europe/Dublin",
            [(-2_000_000_000, -1521), (0, 3600), (946_080_000, 0), (56_325_017, 3600), (3_140_410_144, 3600)]
        ),
        ("Pacific/Apia", [(0, -39600), (1_752_995_436, 46800), (1_200_367_645, -39600), (1_672_620_529, 46800)]),
        ("Africa/Casablanca", [(0, 0), (596_001_514, 0), (2_653_972_764, 3600), (1_910_554_750, 3600)]),
        ("Asia/Kolkata", [(0, 19800), (2_966_284_567, 19800)]),
    ]

    @Test(.enabled(if: hasZones), arguments: known)
    func offsetsAreThoseOfTheDatabase(name: String, times: [(Int64, Int64)]) throws {
        let rules = try zone(name)
        for (time, offset) in times { #expect(rules.offset(at: time) == offset, "\(name) at \(time)") }
    }

    @Test(.enabled(if: hasZones), arguments: ["Europe/Berlin", "America/New_York", "Europe/Dublin", "Pacific/Apia"])
    func segmentsJoin(name: String) throws {
        let rules = try zone(name)
        var segment = rules.segment(at: -3_000_000_000)
        #expect(segment.start == nil)
        var count = 0
        while let end = segment.end, end < 4_000_000_000 {
            let next = rules.segment(at: end)
            #expect(next.start == end)
            #expect(next.previousOffset == segment.offset)
            #expect(rules.segment(at: end - 1) == segment)
            segment = next
            count += 1
        }
        #expect(count > 10)
    }

    @Test(
        arguments: [
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_743_296_399, 3600), ("CET-1CEST,M3.5.0,M10.5.0/3", 1_743_296_400, 7200),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_761_440_399, 7200), ("CET-1CEST,M3.5.0,M10.5.0/3", 1_761_440_400, 3600),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", 1_750_000_000, 3600), ("IST-1GMT0,M10.5.0,M3.5.0/1", 1_735_700_000, 0),
            ("<+0330>-3:30", 0, 12600), ("EST5EDT,0/0,J365/25", 1_750_000_000, -14400), ("UTC0", 5, 0),
        ] as [(String, Int64, Int64)])
    func rulesAreFollowed(text: String, time: Int64, offset: Int64) throws {
        let rule = try #require(PosixTimeZone(parsing: text))
        #expect(TimeZoneRules(transitions: [], firstOffset: 0, rule: rule).offset(at: time) == offset)
    }

    @Test(arguments: ["", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M1.1.0", "CET-99", "<+03-3", "CET-1CEST,M3.5.0"])
    func whatIsNoRuleIsRefused(text: String) { #expect(PosixTimeZone(parsing: text) == nil) }

    @Test(.enabled(if: hasZones)) func damagedFilesAreRefusedAndDoNotTrap() throws {
        let whole = Array(try #require(FileManager.default.contents(atPath: "\(folder)/Europe/Berlin")))
        for length in stride(from: 0, to: whole.count, by: 7) {
            #expect(throws: TimeZoneFileError.self) { try TimeZoneRules(file: Array(whole.prefix(length))) }
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            var damaged = whole
            for _ in 0..<4 {
                damaged[Int.random(in: 0..<damaged.count, using: &generator)] = UInt8.random(in: 0...255)
            }
            // Some damage cannot be seen; it must not trap.
            if let rules = try? TimeZoneRules(file: damaged) { _ = rules.segment(at: 2_000_000_000) }
        }
    }

    @Test(arguments: [
        ("Europe/Berlin", true), ("UTC", true), ("Etc/GMT+5", true), ("America/Argentina/Buenos_Aires", true),
        ("../etc/passwd", false), ("/etc/localtime", false), ("", false), ("Europe//Berlin", false), ("a/../b", false),
        ("Europe/", false), (".hidden", false),
    ])
    func namesStayInTheDatabase(name: String, isName: Bool) { #expect(isTimeZoneName(name) == isName) }

    @Test func datesAreThoseOfTheCalendar() {
        #expect(CivilTime(seconds: 0) == CivilTime(year: 1970, month: 1, day: 1))
        #expect(CivilTime(seconds: 951_782_400) == CivilTime(year: 2000, month: 2, day: 29))
        #expect(CivilTime(seconds: -1) == CivilTime(year: 1969, month: 12, day: 31, hour: 23, minute: 59, second: 59))
        for day in stride(from: Int64(-800_000), to: 800_000, by: 1237) {
            #expect(CivilTime(days: day).days == day)
        }
    }
}
