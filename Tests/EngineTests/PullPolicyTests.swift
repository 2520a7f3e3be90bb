import Reconciler
import StackModel
import Testing

@testable import Engine

@Suite struct PullPolicyTests {
    /// Whether an image that is there is pulled: never asked for, just now, in time, late, before the clock was set
    /// back.
    @Test(
        arguments: [
            (.always, nil, [true, true, true, true, true]), (.missing, nil, [false, false, false, false, false]),
            (.refresh, 100, [true, false, false, true, true]), (.refresh, nil, [true, true, true, true, true]),
            (.never, nil, [false, false, false, false, false]), (.build, nil, [false, false, false, false, false]),
        ] as [(PullPolicy.Mode, Int64?, [Bool])])
    func whatIsThereIsPulledInTime(mode: PullPolicy.Mode, refreshAfter: Int64?, expected: [Bool]) {
        let policy = PullPolicy(mode: mode, refreshAfter: refreshAfter)
        let ages: [Nanoseconds?] = [nil, 0, 99, 100, -1]
        #expect(ages.map { policy.wantsPull(isPresent: true, age: $0) } == expected)
    }

    @Test func whatIsMissingIsPulledUnlessForbidden() {
        for mode in [PullPolicy.Mode.always, .missing, .refresh, .never, .build] {
            let policy = PullPolicy(mode: mode, refreshAfter: 100)
            for age in [nil, 0, 100] as [Nanoseconds?] {
                #expect(policy.wantsPull(isPresent: false, age: age) == (mode != .never && mode != .build))
            }
        }
    }
}
