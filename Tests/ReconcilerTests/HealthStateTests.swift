import Reconciler
import StackModel
import Testing

@Suite struct HealthStateTests {
    private func machine(startPeriod: Int64 = 0) -> HealthState {
        var check = Healthcheck(test: ["CMD", "true"])
        check.interval = 10 * second
        check.timeout = 4 * second
        check.retries = 2
        check.startPeriod = startPeriod
        check.startInterval = 1 * second
        return HealthState(parameters: .init(check))
    }

    @Test func whatIsFoundRunningKeepsItsHealthUntilItIsProbed() {
        var health = HealthState(parameters: HealthState.Parameters())
        #expect(health.handle(.containerFound(.healthy, at: 7)) == [.changed(.healthy), .wake(at: 7)])
        #expect(health.health == .healthy)
        #expect(health.handle(.timer(at: 7)).first == .startProbe(probe: 1))
    }

    @Test func aSuccessMakesHealthyAndFailuresInARowUnhealthy() {
        var health = machine()
        #expect(health.handle(.containerStarted(at: 0)) == [.changed(.starting), .wake(at: second / 10)])
        #expect(health.handle(.timer(at: 10 * second)) == [.startProbe(probe: 1), .wake(at: 14 * second)])
        #expect(
            health.handle(.probeEnded(probe: 1, succeeded: true, at: 11 * second)) == [
                .changed(.healthy), .wake(at: 21 * second),
            ])
        _ = health.handle(.timer(at: 21 * second))
        #expect(health.handle(.probeEnded(probe: 2, succeeded: false, at: 22 * second)) == [.wake(at: 32 * second)])
        #expect((health.health, health.failures) == (.healthy, 1))
        _ = health.handle(.timer(at: 32 * second))
        #expect(
            health.handle(.probeEnded(probe: 3, succeeded: false, at: 33 * second)) == [
                .changed(.unhealthy), .wake(at: 43 * second),
            ])
        _ = health.handle(.timer(at: 43 * second))
        _ = health.handle(.probeEnded(probe: 4, succeeded: true, at: 44 * second))
        #expect((health.health, health.failures) == (.healthy, 0))
    }

    @Test func eagerProbesFindAFastContainerHealthy() {
        var health = machine()
        _ = health.handle(.containerStarted(at: 0))
        let first = second / 10
        #expect(health.handle(.timer(at: first)) == [.startProbe(probe: 1), .wake(at: first + 4 * second)])
        #expect(
            health.handle(.probeEnded(probe: 1, succeeded: true, at: first)) == [
                .changed(.healthy), .wake(at: first + 10 * second),
            ])
    }

    @Test func eagerProbesCannotMakeUnhealthyAndEndWithTheFirstRegularOne() {
        var health = machine()
        var actions = health.handle(.containerStarted(at: 0))
        var times: [Int64] = []
        var probe = 0
        while case .wake(let time)? = actions.last, time <= 10 * second {
            times.append(time)
            probe += 1
            _ = health.handle(.timer(at: time))
            actions = health.handle(.probeEnded(probe: probe, succeeded: false, at: time))
        }
        #expect(times.last == 10 * second)
        #expect(times == times.sorted())
        #expect((health.health, health.failures) == (.starting, 1))
    }

    @Test func failuresInTheStartPeriodDoNotCount() {
        var health = machine(startPeriod: 3 * second)
        #expect(health.handle(.containerStarted(at: 0)).last == .wake(at: second / 10))
        for (probe, time) in [(1, 1 * second), (2, 2 * second)] {
            _ = health.handle(.timer(at: time))
            _ = health.handle(.probeEnded(probe: probe, succeeded: false, at: time))
        }
        #expect((health.health, health.failures) == (.starting, 0))
        _ = health.handle(.timer(at: 3 * second))
        #expect(health.handle(.probeEnded(probe: 3, succeeded: false, at: 3 * second)) == [.wake(at: 13 * second)])
        #expect(health.failures == 1)
    }

    @Test func aSuccessEndsTheStartPeriod() {
        var health = machine(startPeriod: 60 * second)
        _ = health.handle(.containerStarted(at: 0))
        _ = health.handle(.timer(at: 1 * second))
        #expect(health.handle(.probeEnded(probe: 1, succeeded: true, at: 1 * second)).last == .wake(at: 11 * second))
        for probe in [2, 3] {
            let time = Int64(probe) * 11 * second
            _ = health.handle(.timer(at: time))
            _ = health.handle(.probeEnded(probe: probe, succeeded: false, at: time))
        }
        #expect(health.health == .unhealthy)
    }

    @Test func aProbeThatTakesTooLongIsAFailure() {
        var health = machine()
        _ = health.handle(.containerStarted(at: 0))
        _ = health.handle(.timer(at: 10 * second))
        #expect(health.handle(.timer(at: 12 * second)) == [.wake(at: 14 * second)])
        #expect(health.handle(.timer(at: 14 * second)) == [.abortProbe(probe: 1), .wake(at: 24 * second)])
        #expect(health.failures == 1)
        #expect(health.handle(.probeEnded(probe: 1, succeeded: true, at: 15 * second)) == [])
        #expect(health.health == .starting)
    }

    @Test func aStopEndsEverythingAndAStartBeginsAgain() {
        var health = machine()
        _ = health.handle(.containerStarted(at: 0))
        _ = health.handle(.timer(at: 10 * second))
        #expect(health.handle(.containerStopped) == [.abortProbe(probe: 1)])
        #expect(health.handle(.timer(at: 14 * second)) == [])
        #expect(health.handle(.probeEnded(probe: 1, succeeded: true, at: 14 * second)) == [])
        #expect(
            health.handle(.containerStarted(at: 20 * second)) == [
                .changed(.starting), .wake(at: 20 * second + second / 10),
            ])
    }

    @Test func theImageFillsWhatTheServiceDoesNotSay() {
        var own = Healthcheck()
        own.retries = 7
        var image = Healthcheck(test: ["CMD", "x"])
        image.retries = 1
        image.interval = 2 * second
        let parameters = HealthState.Parameters(own, image: image)
        #expect((parameters.retries, parameters.interval, parameters.timeout) == (7, 2 * second, 30 * second))
    }
}
