import Reconciler
import StackModel
import Testing

@Suite struct ScaleTests {
    private let stack = shop(["web": service(replicas: 3)])

    @Test func missingNumbersAreFilledFromTheLowest() {
        let state = observed(stack, [container(stack, "web", 2)])
        #expect(
            changes(plan(desired: desired(stack), observed: state, now: 0)) == [
                "create container shop-web-1: does not exist", "create container shop-web-3: does not exist",
            ])
    }

    @Test func theHighestNumberGoesFirst() {
        let state = observed(stack, (1...3).map { container(stack, "web", $0) })
        let wanted = desired(stack) { $0.scale = ["web": 1] }
        let result = plan(desired: wanted, observed: state, now: 0)
        #expect(
            changes(result) == [
                "remove container shop-web-2: scaled to 1", "remove container shop-web-3: scaled to 1",
            ])
        #expect(
            lines(result) == [
                "1 stop id-web-2 drained", "2 remove id-web-2 <1>", "3 stop id-web-3 drained", "4 remove id-web-3 <3>",
            ])
    }

    @Test func theObsoleteGoBeforeTheUnhealthyAndThoseBeforeTheHighest() {
        let old = shop(["web": service("old", replicas: 4)])
        let state = observed(
            stack,
            [
                container(old, "web", 1) { $0.definition.imageID = "sha256:0" },
                container(stack, "web", 2) {
                    $0.healthcheckDefined = true
                    $0.health = .unhealthy
                },
                container(stack, "web", 3), container(stack, "web", 4),
            ])
        func removed(_ replicas: Int) -> [String] {
            plan(desired: desired(stack) { $0.scale = ["web": replicas] }, observed: state, now: 0)
                .displayChanges.filter { $0.action == .remove }.map(\.name)
        }
        #expect(removed(3) == ["shop-web-1"])
        #expect(Set(removed(2)) == ["shop-web-1", "shop-web-2"])
        #expect(Set(removed(1)) == ["shop-web-1", "shop-web-2", "shop-web-4"])
        #expect(removed(0).count == 4)
    }

    @Test func theLastThatServesGoesWhenItsSuccessorIsReady() {
        let old = shop(["web": service("old", replicas: 2)])
        let state = observed(
            stack,
            [
                container(stack, "web", 1, .created),
                container(old, "web", 2) { $0.definition.imageID = "sha256:0" },
            ])
        let result = plan(desired: desired(stack) { $0.scale = ["web": 1] }, observed: state, now: 0)
        #expect(
            lines(result) == [
                "1 start id-web-1", "2 stop id-web-2 drained <1> [ready shop-web-1]", "3 remove id-web-2 <2>",
            ])
    }

    @Test func twoInOneSlotBecomeOne() {
        let single = shop(["web": service()])
        let state = observed(
            single, [container(single, "web", 1), container(single, "web", 1, .created) { $0.id = "id-twin" }])
        #expect(lines(plan(desired: desired(single), observed: state, now: 0)) == ["1 remove id-twin"])
    }

    @Test func tooManyAreRefused() {
        let wanted = desired(stack) { $0.scale = ["web": Int.max] }
        let result = plan(desired: wanted, observed: ObservedState(), now: 0)
        #expect(result.isEmpty)
        #expect(result.blocked.map(\.code) == ["service.too-many-replicas"])
        #expect(plan(desired: desired(stack) { $0.scale = ["web": -1] }, observed: ObservedState(), now: 0).isEmpty)
    }

    @Test func aFixedNameCannotBeScaled() {
        let fixed = shop(["web": service { $0.containerName = "front" }])
        let result = plan(desired: desired(fixed) { $0.scale = ["web": 2] }, observed: ObservedState(), now: 0)
        #expect(result.blocked.map(\.code) == ["service.container-name-scale"])
    }

    @Test func aDependencyScaledToNothingIsNotWaitedFor() {
        let pair = shop(["web": service(dependsOn: ["db": .healthy]), "db": service()])
        let wanted = desired(pair) { $0.scale = ["db": 0] }
        #expect(
            lines(plan(desired: wanted, observed: observed(pair, []), now: 0)) == [
                "1 create web-1", "2 start web-1 <1>",
            ])
    }
}
