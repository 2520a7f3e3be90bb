import StackModel
import Testing

@testable import Reconciler

@Suite struct FieldChangeTests {
    private func paths(
        _ effect: ChangeClass? = nil, old: (inout Service) -> Void = { _ in }, new: (inout Service) -> Void
    ) -> [String] {
        let before = ContainerDefinition(service: service(edit: old), imageID: "sha256:1")
        let after = ContainerDefinition(service: service(edit: new), imageID: "sha256:1")
        return after.changes(from: before).filter { effect == nil || $0.effect == effect }.map(\.path)
    }

    @Test func everyPropertyOfAServiceHasItsClass() {
        let properties = Mirror(reflecting: Service(image: "")).children.compactMap(\.label)
            // Property wrappers store `_name`.
            .map { $0.hasPrefix("_") ? String($0.dropFirst()) : $0 }
        let known = FieldRule.all.map(\.property) + ["image"]
        #expect(Set(properties) == Set(known))
        // Some limits can be changed under a container and some cannot, so they are two rules.
        #expect(known.count == Set(known).count + 1)
        #expect(known.count { $0 == "resources" } == 2)
    }

    @Test func eachEntryThatDiffersIsNamed() {
        let changed = paths(
            old: { ($0.environment, $0.labels) = (["A": "1", "B": nil, "C": "x"], ["l": "1"]) },
            new: { ($0.environment, $0.labels) = (["A": "2", "C": "x", "D": "4"], ["l": "2"]) })
        #expect(changed == ["environment.A", "environment.B", "environment.D", "labels.l"])
        #expect(paths { $0.mounts = [Mount(kind: .tmpfs, target: "/tmp")] } == ["volumes./tmp"])
        #expect(paths { $0.networks["front"] = NetworkAttachment() } == ["networks.front"])
    }

    @Test func writingTheSameInAnotherWayIsNoChange() {
        let changed = paths(
            old: {
                $0.capAdd = ["NET_ADMIN", "chown"]
                $0.ports = [Port(target: 1), Port(target: 2)]
                $0.stopSignal = "SIGTERM"
                $0.networks["default"]?.aliases = ["a", "b"]
                $0.groupAdd = ["1", "2"]
            },
            new: {
                $0.capAdd = ["CAP_CHOWN", "CAP_NET_ADMIN"]
                $0.ports = [Port(target: 2), Port(target: 1)]
                $0.networks["default"]?.aliases = ["b", "a", "b"]
                $0.groupAdd = ["2", "1"]
            })
        #expect(changed == [])
    }

    @Test func classesTellWhatMustBeDone() {
        #expect(paths(ChangeClass.none) { ($0.replicas, $0.profiles) = (5, ["x"]) } == ["scale", "profiles"])
        let control = paths(.control) {
            $0.restart.mode = .always
            $0.stopSignal = "INT"
            $0.stopGracePeriod = 1
            $0.dependsOn = ["db": Dependency(condition: .started)]
            $0.image = "other"
        }
        #expect(control == ["image", "restart", "stop_signal", "stop_grace_period", "depends_on"])
        #expect(paths(.replace) { ($0.command, $0.readOnly) = ([], true) } == ["command", "read_only"])
        let live = paths(.live) {
            ($0.ports, $0.oomKillDisable) = ([Port(target: 1)], true)
            $0.networks["back"] = NetworkAttachment()
            $0.healthcheck = Healthcheck(test: ["NONE"])
        }
        #expect(live == ["healthcheck", "networks.back", "ports", "oom_kill_disable"])
    }

    @Test func limitsChangeUnderAContainerWhereTheKernelCanBeTold() {
        func effect(_ old: (inout Resources) -> Void, _ new: (inout Resources) -> Void) -> ChangeClass? {
            let before = ContainerDefinition(service: service { old(&$0.resources) }, imageID: "")
            let after = ContainerDefinition(service: service { new(&$0.resources) }, imageID: "")
            let changes = after.changes(from: before)
            #expect(changes.allSatisfy { $0.path == "deploy.resources" } && changes.count <= 1)
            return changes.first?.effect
        }
        #expect(effect({ _ in }, { _ in }) == nil)
        #expect(effect({ _ in }, { ($0.memory, $0.pids, $0.nanoCPUs) = (1 << 30, 5, 1) }) == .live)
        #expect(effect({ $0.memory = 1 }, { _ in }) == .live)
        #expect(effect({ $0.cpuset = "0" }, { $0.cpuset = "1" }) == .live)
        #expect(effect({ $0.cpuset = "0" }, { _ in }) == .replace)
        #expect(effect({ _ in }, { $0.cpuRealtimeRuntime = 1 }) == .replace)
        #expect(effect({ $0.memory = 1 }, { ($0.memory, $0.blockIO) = (2, BlockIO()) }) == .replace)
    }

    @Test func contentIsReloadedWhereTheServiceSaysHow() {
        func definition(_ content: String, reload: Reload?) -> ContainerDefinition {
            let service = service {
                $0.configs = [FileMount(source: "app", target: "/app", mode: 0o444)]
                $0.gantry = ServiceOptions()
                $0.gantry?.reload = reload
            }
            var object = FileObject()
            object.content = Array(content.utf8)
            return ContainerDefinition(service: service, imageID: "", configs: ["app": object])
        }
        let old = definition("a", reload: .signal("HUP"))
        #expect(definition("b", reload: .signal("HUP")).changes(from: old).map(\.effect) == [.reload])
        #expect(definition("b", reload: nil).changes(from: old).map(\.effect) == [.control, .replace])
    }

    @Test func manyChangesAreCounted() {
        let changes = ["a", "b", "c", "d", "e"].map { FieldChange(path: $0, sourcePath: $0, effect: .replace) }
        #expect(FieldChange.summary(changes) == "a changed, b changed, c changed and 2 more")
        #expect(FieldChange.summary(Array(changes.prefix(1))) == "a changed")
    }

    @Test func namesOfNetworksAndVolumesCount() {
        func definition(_ name: String?) -> ContainerDefinition? {
            var stack = shop(["web": service { $0.mounts = [Mount(kind: .volume, source: "data", target: "/data")] }])
            stack.networks["default"]?.name = name
            stack.volumes["data"] = Volume()
            stack.volumes["data"]?.name = name
            return ContainerDefinition(stack: stack, service: "web", imageID: "")
        }
        guard let old = definition(nil), let new = definition("other") else {
            Issue.record("no definition")
            return
        }
        #expect(new.changes(from: old).map(\.path) == ["networks.default.name", "volumes.data.name"])
        #expect(old.changes(from: old).isEmpty)
        #expect(ContainerDefinition(stack: shop([:]), service: "web", imageID: "") == nil)
    }
}
