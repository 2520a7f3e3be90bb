import Testing

@testable import Timetable

private func cron(_ text: String) throws -> CronExpression {
    try CronExpression(parsing: text)
}

private func seconds(_ year: Int64, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0) -> Int64 {
    CivilTime(year: year, month: month, day: day, hour: hour, minute: minute).seconds
}

private let berlin = TimeZoneRules(
    transitions: [], firstOffset: 3600, rule: PosixTimeZone(parsing: "CET-1CEST,M3.5.0,M10.5.0/3"))
private let lordHowe = TimeZoneRules(
    transitions: [], firstOffset: 37800, rule: PosixTimeZone(parsing: "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"))

/// What crontab(5) and cron(8) say, asked of each minute by itself.
private func happens(_ fields: CronFields, at time: Int64, in zone: TimeZoneRules) -> Bool {
    func matches(_ local: Int64) -> Bool {
        let clock = CivilTime(seconds: local)
        let day = fields.days & 1 << UInt64(clock.day) != 0
        let week = fields.weekdays & 1 << UInt64((local / 86_400 + 4) % 7) != 0
        return clock.second == 0 && fields.minutes & 1 << UInt64(clock.minute) != 0
            && fields.hours & 1 << UInt64(clock.hour) != 0 && fields.months & 1 << UInt64(clock.month) != 0
            && (fields.takesEitherDay ? day || week : day && week)
    }
    let (before, now) = (zone.offset(at: time - 1), zone.offset(at: time))
    if fields.isAtFixedTimes, now > before,
        stride(from: time + before, to: time + now, by: 60).contains(where: matches)
    {
        return true
    }
    guard matches(time + now) else { return false }
    guard fields.isAtFixedTimes else { return true }
    // Not a second time: no earlier moment of these hours had the same reading.
    return !stride(from: time - 60, through: time - 7200, by: -60).contains { $0 + zone.offset(at: $0) == time + now }
}

@Suite struct CronTests {
    @Test(arguments: [
        ("0 3 * * *", "2026-03-01T03:00"), ("*/15 * * * *", "2026-03-01T00:15"), ("0 0 1 1 *", "2027-01-01T00:00"),
        ("30 4 1,15 * 5", "2026-03-01T04:30"), ("0 9 * * mon-fri", "2026-03-02T09:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"), ("5-10/5 1 * DEC sun", "2026-12-06T01:05"),
        ("0 0 * * 7", "2026-03-08T00:00"),
        ("@daily", "2026-03-02T00:00"), ("@hourly", "2026-03-01T01:00"), ("@monthly", "2026-04-01T00:00"),
        ("@every 5m", "2026-03-01T00:05"), ("@every 1h30m", "2026-03-01T01:30"), ("10/20 * * * *", "2026-03-01T00:10"),
        ("0 0 29 2 1", "2027-02-01T00:00"),
    ])
    func theNextTime(text: String, expected: String) throws {
        let start = seconds(2026, 3, 1) * 1_000_000_000
        let next = try #require(try cron(text).next(after: start, in: .utc))
        let clock = CivilTime(seconds: next / 1_000_000_000)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        #expect(
            "\(clock.year)-\(two(clock.month))-\(two(clock.day))T\(two(clock.hour)):\(two(clock.minute))" == expected)
    }

    @Test(arguments: [
        ("", "is empty"), ("* * * *", "has 4 fields"), ("* * * * * *", "has 6 fields"), ("60 * * * *", "0 to 59"),
        ("* 24 * * *", "0 to 23"), ("* * 0 * *", "1 to 31"), ("* * * 13 *", "1 to 12"), ("* * * * 8", "0 to 7"),
        ("*/0 * * * *", "step '0'"), ("5-1 * * * *", "ends before it begins"), ("? * * * *", "'?'"),
        ("0 0 L * *", "'L'"), ("0 0 31 2 *", "never comes"), ("0 0 30 feb *", "never comes"), ("@reboot", "no time"),
        ("@sometimes", "no time"), ("@every", "duration"), ("@every 1ms", "duration"), ("@every 0s", "duration"),
        ("@every 5", "duration"), ("1,,2 * * * *", "''"),
        ("TZ=UTC 0 0 * * *", "time zone"), ("-1 * * * *", "not understood"), ("99999999999999999999 * * * *", "not "),
        ("1-2-3 * * * *", "not understood"), ("1/2/3 * * * *", "not understood"),
    ])
    func whatIsWrongIsSaid(text: String, problem: String) {
        let error = #expect(throws: CronError.self) { try cron(text) }
        #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
    }

    @Test func inTheGapFixedTimesComeAtItsEndAndIntervalsNot() throws {
        // Clocks in Berlin go from 2:00 to 3:00 on 2026-03-29, at 1:00 UTC.
        let gap = seconds(2026, 3, 29, 1) * 1_000_000_000
        #expect(try cron("30 2 * * *").next(after: gap - 1, in: berlin) == gap)
        #expect(try cron("30 2 * * *").next(after: gap, in: berlin) == gap + (23 * 60 + 30) * 60_000_000_000)
        #expect(try cron("*/30 * * * *").next(after: gap - 1, in: berlin) == gap)
        #expect(try cron("30 * * * *").next(after: gap - 1, in: berlin) == gap + 30 * 60_000_000_000)
    }

    @Test func inTheHourThatComesTwiceFixedTimesComeOnce() throws {
        // Clocks in Berlin go from 3:00 to 2:00 on 2026-10-25, at 1:00 UTC.
        let first = seconds(2026, 10, 25, 0, 30) * 1_000_000_000
        let hour: Int64 = 3_600_000_000_000
        #expect(try cron("30 2 * * *").next(after: first - 1, in: berlin) == first)
        #expect(try cron("30 2 * * *").next(after: first, in: berlin) == first + 25 * hour)
        #expect(try cron("30 * * * *").next(after: first, in: berlin) == first + hour)
    }

    private static let texts = [
        "30 2 * * *", "0 2 * * *", "*/7 * * * *", "0 */2 * * *", "15,45 1-3 * * *", "0 3 * * sun", "59 1 25 10 *",
        "* 2 * * *", "0 0 1,15 * mon", "10 2-4/2 * mar,oct,apr *",
    ]

    @Test(arguments: texts) func eachMinuteAgrees(text: String) throws {
        let expression = try cron(text)
        guard case .fields(let fields) = expression.form else { return }
        for (zone, starts) in [
            (berlin, [seconds(2026, 3, 28), seconds(2026, 10, 24)]),
            (lordHowe, [seconds(2026, 4, 4), seconds(2026, 10, 3)]), (.utc, [seconds(2027, 2, 27)]),
        ] {
            for start in starts {
                var expected: [Int64] = []
                for time in stride(from: start + 60, through: start + 2 * 86_400, by: 60)
                where happens(fields, at: time, in: zone) {
                    expected.append(time)
                }
                var found: [Int64] = []
                var time = start * 1_000_000_000
                while let next = expression.next(after: time, in: zone), next <= (start + 2 * 86_400) * 1_000_000_000 {
                    found.append(next / 1_000_000_000)
                    #expect(next > time)
                    #expect(expression.next(after: next - 1, in: zone) == next)
                    time = next
                }
                #expect(found == expected, "\(text) from \(start)")
            }
        }
    }

    @Test func randomExpressionsFindWhatTheMinutesSay() throws {
        var generator = SystemRandomNumberGenerator()
        func field(_ range: ClosedRange<Int>) -> String {
            let low = Int.random(in: range, using: &generator)
            let high = Int.random(in: low...range.upperBound, using: &generator)
            let forms = ["*", "\(low)", "\(low)-\(high)", "*/\(Int.random(in: 1...9))", "\(low),\(high)"]
            return forms.randomElement(using: &generator) ?? "*"
        }
        for _ in 0..<50 {
            let text = "\(field(0...59)) \(field(0...23)) \(field(1...28)) \(field(1...12)) \(field(0...7))"
            let expression = try cron(text)
            guard case .fields(let fields) = expression.form else { continue }
            let start = seconds(2026, 1, 1) + Int64.random(in: 0..<(700 * 1440), using: &generator) * 60
            let next = try #require(expression.next(after: start * 1_000_000_000, in: berlin)) / 1_000_000_000
            #expect(happens(fields, at: next, in: berlin), "\(text) after \(start)")
            for time in stride(from: start + 60, to: min(next, start + 86_400), by: 60) {
                #expect(!happens(fields, at: time, in: berlin), "\(text) after \(start): \(time) was left out")
            }
        }
    }

    @Test func theLastTimeIsFoundWithWhatWasMissed() throws {
        let start = seconds(2026, 3, 1)
        let hour: Int64 = 3600
        let found = try cron("0 * * * *").last(
            after: start * 1_000_000_000, upTo: (start + 5 * hour + 7) * 1_000_000_000, in: .utc)
        #expect(found?.time == (start + 5 * hour) * 1_000_000_000)
        #expect(found?.earlier == 4)
        #expect(try cron("0 * * * *").last(after: start, upTo: start + 1, in: .utc) == nil)
        let every = try cron("@every 5m").last(
            after: start * 1_000_000_000, upTo: (start + 900) * 1_000_000_000, in: .utc)
        #expect(every?.time == (start + 900) * 1_000_000_000)
        #expect(every?.earlier == 2)
        // Ten years of minutes.
        let late = try cron("* * * * *").last(
            after: start * 1_000_000_000, upTo: (start + 3650 * 86_400) * 1_000_000_000, in: .utc, countMax: 100)
        #expect(late?.time == (start + 3650 * 86_400) * 1_000_000_000)
        #expect(late?.earlier == 100)
    }
}
