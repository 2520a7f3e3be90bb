import EngineWire
import Reconciler
import StackModel
import Testing

@testable import Engine

@Suite struct PlanDocumentTests {
    private func stack(_ image: String, replicas: Int = 1, edit: (inout Service) -> Void = { _ in }) -> Stack {
        var service = Service(image: image)
        service.replicas = replicas
        service.networks = ["default": NetworkAttachment()]
        edit(&service)
        var stack = Stack(name: "shop", services: ["web": service])
        stack.networks["default"] = Network()
        stack.sources["services.web.image"] = SourceMark(file: "compose.yaml", line: 3, column: 5)
        return stack
    }

    private func container(_ stack: Stack, _ service: String, _ number: Int) throws -> ObservedContainer {
        let definition = try #require(ContainerDefinition(stack: stack, service: service, imageID: "sha256:1"))
        var container = ObservedContainer(
            id: "\(service)\(number)", name: "shop-\(service)-\(number)", service: service, number: number,
            definition: definition, state: .running)
        (container.createdAt, container.startedAt) = (1, 2)
        return container
    }

    private func reply(_ new: Stack, _ observed: ObservedState, edit: (inout DesiredState) -> Void = { _ in })
        -> PlanReply
    {
        var desired = DesiredState(stack: new, imageIDs: ["web": "sha256:2"], mode: .apply)
        edit(&desired)
        let plan = Reconciler.plan(desired: desired, observed: observed, now: 10)
        var document = PlanDocument(plan: plan, desired: desired, observed: observed)
        document.networks = ["shop_default": .init(key: "default", id: "n1")]
        var reply = document.reply()
        reply.conclude(services: 1)
        return reply
    }

    private func observed(_ stack: Stack, _ containers: [ObservedContainer]) -> ObservedState {
        ObservedState(
            containers: containers, networks: [ObservedNetwork(name: "shop_default", definition: Network())])
    }

    @Test func aReplacementHasItsFieldsOrderAndDisruption() throws {
        let old = stack("web:1", replicas: 2)
        let state = observed(old, [try container(old, "web", 1), try container(old, "web", 2)])
        let reply = reply(stack("web:2", replicas: 2), state)
        #expect(reply.changes.map(\.address) == ["service.web[1]", "service.web[2]"])
        let change = try #require(reply.changes.first)
        #expect(change.action == .recreate && change.replacePaths == ["image"])
        #expect(
            change.fields == [
                PlanReply.Field(
                    path: "image", before: "web:1", after: "web:2",
                    source: SourceMark(file: "compose.yaml", line: 3, column: 5))
            ])
        #expect(change.order == "stop-first: nothing tells when it is ready" && change.disruption == .reduced)
        #expect(reply.disruption == .reduced && reply.changed && reply.summary == ["replace": 2, "unchanged": 1])
        #expect(
            reply.base.objects == ["service.web[1]": "web1", "service.web[2]": "web2", "network.default": "n1"])
        #expect(reply.ops.map(\.op).prefix(3) == ["container.stop", "container.remove", "container.create"])
        let gates = reply.ops.flatMap(\.gates)
        #expect(gates == [.init(gate: "settled", target: "shop-web-1", milliseconds: 0)])
    }

    @Test func whoServesAloneIsInterruptedUnlessItsSuccessorComesFirst() throws {
        let old = stack("web:1")
        #expect(reply(stack("web:2"), observed(old, [try container(old, "web", 1)])).disruption == .interruption)
        let port: (inout Service) -> Void = { $0.ports = [Port(target: 80, published: 80)] }
        let published = stack("web:1", edit: port)
        let state = observed(published, [try container(published, "web", 1)])
        #expect(reply(stack("web:2", edit: port), state).disruption == .none)
    }

    @Test func aNetworkTakesAllItsUsersAtOnce() throws {
        let old = stack("web:1", replicas: 2)
        let state = observed(old, [try container(old, "web", 1), try container(old, "web", 2)])
        var new = old
        new.networks["default"]?.isInternal = true
        let reply = reply(new, state) { $0.imageIDs = ["web": "sha256:1"] }
        #expect(reply.changes.filter { $0.kind == .container }.allSatisfy { $0.disruption == .interruption })
        let network = try #require(reply.changes.first { $0.kind == .network })
        #expect(network.address == "network.default" && network.fields.map(\.path) == ["internal"])
    }

    @Test func secretsAreNotInIt() throws {
        let old = stack("web:1") { $0.environment = ["DB_PASSWORD": "canary-old", "URL": "http://a:canary-url@b/"] }
        let new = stack("web:1") {
            ($0.environment, $0.command) = (
                ["DB_PASSWORD": "canary-new", "URL": "http://a:canary-u2@b/"], ["x", "canary-old"]
            )
        }
        let reply = reply(new, observed(old, [try container(old, "web", 1)])) { $0.imageIDs = ["web": "sha256:1"] }
        let fields = try #require(reply.changes.first).fields
        #expect(fields.map(\.path) == ["command", "environment.DB_PASSWORD", "environment.URL"])
        // The old password is known from the new side's applied stack only; by name and form it is found anyway.
        #expect(
            fields.dropFirst().allSatisfy { $0.sensitive && $0.before == "(sensitive)" && $0.after == "(sensitive)" })
        var known = PlanDocument(
            plan: Plan(), desired: DesiredState(stack: new, mode: .apply), observed: ObservedState())
        known.applied = old
        #expect(Sensitivity([new, old]).covers(path: "command", "x canary-old"))
    }

    @Test func orphansAreListedAndNothingElseOfThem() throws {
        let old = stack("web:1")
        var other = old
        other.services["gone"] = Service(image: "x")
        let state = observed(other, [try container(old, "web", 1), try container(other, "gone", 1)])
        let listed = reply(old, state) { $0.imageIDs = ["web": "sha256:1"] }
        #expect(listed.orphans == [.init(address: "service.gone[1]", name: "shop-gone-1")])
        #expect(!listed.changed && listed.diagnostics.isEmpty && listed.summary["orphan"] == 1)
        let removed = reply(old, state) { ($0.imageIDs, $0.removeOrphans) = (["web": "sha256:1"], true) }
        #expect(removed.orphans.isEmpty && removed.changes.map(\.address) == ["service.gone[1]"])
        #expect(removed.disruption == .interruption)
    }

    @Test func theSamePlanIsTheSameDocument() throws {
        let old = stack("web:1", replicas: 3)
        let containers = [try container(old, "web", 1), try container(old, "web", 2), try container(old, "web", 3)]
        let new = stack("web:2", replicas: 3) { $0.environment = ["A": "1", "B": "2", "C": "3"] }
        let one = reply(new, observed(old, containers))
        #expect(reply(new, observed(old, containers.reversed())) == one)
    }
}
