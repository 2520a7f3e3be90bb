import Reconciler
import StackModel
import Testing

/// Volumes whose definition changed: their data is lost only where somebody named them.
@Suite struct DestructionTests {
    private func stack(_ type: String?) -> Stack {
        var stack = shop([
            "db": service(replicas: 2) { $0.mounts = [Mount(kind: .volume, source: "data", target: "/data")] },
            "web": service(dependsOn: ["db": .started]),
        ])
        stack.volumes["data"] = Volume()
        if let type { stack.volumes["data"]?.driverOptions = ["type": type] }
        return stack
    }

    private var state: ObservedState {
        let old = stack(nil)
        return observed(old, [container(old, "db", 1), container(old, "db", 2), container(old, "web")])
    }

    private func result(_ mode: DesiredState.Mode = .apply, _ edit: (inout DesiredState) -> Void) -> Plan {
        plan(desired: desired(stack("tmpfs"), mode, edit: edit), observed: state, now: 0)
    }

    @Test func itStaysAsItIs() {
        let result = result { _ in }
        #expect(result.isEmpty && result.blocked.isEmpty)
        #expect(result.warnings.map(\.code) == ["volume.changed"])
        #expect(result.warnings.first?.hint?.contains("--allow-destroy volume.data") == true)
    }

    @Test func itIsRefusedWhereThatWasAskedFor() {
        let result = result { $0.refusesDestruction = true }
        #expect(result.blocked.map(\.code) == ["consent.needed"])
        #expect(result.blocked.first?.message.contains("driver_opts changed") == true)
    }

    @Test func itIsReplacedWithItsUsersWhereItIsNamed() {
        let result = result { ($0.allowDestroy, $0.refusesDestruction) = (["volume.data"], true) }
        #expect(
            lines(result) == [
                "1 stop id-db-1", "2 remove id-db-1 <1>", "3 stop id-db-2", "4 remove id-db-2 <3>",
                "5 remove volume shop_data <2,4>", "6 create volume data <5>", "7 create db-1 <2,6>",
                "8 start db-1 <7>",
                "9 create db-2 <4,6>", "10 start db-2 <9>",
            ])
        #expect(result.blocked.isEmpty)
        #expect(changes(result).first == "recreate volume shop_data: driver_opts changed, its data is lost")
    }

    @Test func neitherTheLoopNorARollbackReplacesIt() {
        for edit in [{ $0.isRollback = true }, { _ in }] as [(inout DesiredState) -> Void] {
            let mode: DesiredState.Mode = .maintain
            let result = result(mode) {
                $0.allowDestroy = ["volume.data"]
                edit(&$0)
            }
            #expect(result.isEmpty && result.blocked.isEmpty)
        }
        let rollback = result {
            ($0.allowDestroy, $0.isRollback, $0.refusesDestruction) = (["volume.data"], true, true)
        }
        #expect(rollback.isEmpty && rollback.blocked.isEmpty)
    }

    @Test func aUserThatStaysIsInTheWay() {
        let result = result { ($0.allowDestroy, $0.noRecreate) = (["volume.data"], true) }
        #expect(result.isEmpty == false || !result.blocked.isEmpty)
        #expect(!lines(result).contains { $0.contains("remove volume") })
        var state = state
        var stray = container(stack(nil), "db", 7)
        (stray.service, stray.oneOff, stray.name) = ("db", true, "shop-db-run-1")
        state.containers.append(stray)
        let wanted = desired(stack("tmpfs")) { $0.allowDestroy = ["volume.data"] }
        let blocked = plan(desired: wanted, observed: state, now: 0)
        #expect(blocked.blocked.map(\.code) == ["volume.in-use"])
    }
}
