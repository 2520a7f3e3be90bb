import Reconciler
import StackModel
import Testing

/// Every order of events, for small stacks: each operation cut off at each effect, the engine killed at any moment, and
/// one accident at any moment.
@Suite struct ExplorationTests {
    private static func web(_ order: UpdateConfig.Order, _ action: UpdateConfig.FailureAction) -> Service {
        var service = Service(image: "app")
        service.replicas = 2
        service.restart.mode = .always
        service.networks = ["default": NetworkAttachment()]
        service.healthcheck = Healthcheck(test: ["CMD", "true"])
        service.update.order = order
        service.update.monitor = 0
        service.update.failureAction = action
        return service
    }

    private static func stack(_ services: [String: Service]) -> Stack {
        var stack = Stack(name: "shop", services: services)
        stack.networks["default"] = Network()
        return stack
    }

    /// A machine with revision 1 up, and revision 2 just written.
    private static func updated(_ stack: Stack) -> Machine {
        var machine = Machine()
        machine.images = ["sha256:1", "sha256:2"]
        machine.clock = 10_000 * second
        let images = { (image: String) in stack.services.mapValues { _ in image } }
        machine.revisions = [
            Revision(number: 1, stack: stack, imageIDs: images("sha256:1"), isStable: true),
            Revision(number: 2, stack: stack, imageIDs: images("sha256:2")),
        ]
        machine.networks["shop_default"] = Machine.Net(definition: Network(), hasBridge: true)
        for (service, definition) in stack.services.sorted(by: { $0.key < $1.key }) {
            for number in 1...definition.replicas {
                machine.lastID += 1
                guard let made = ContainerDefinition(stack: stack, service: service, imageID: "sha256:1") else {
                    continue
                }
                var instance = Instance(
                    id: "c\(machine.lastID)", name: stack.containerName(service: service, number: number),
                    service: service, number: number, definition: made, createdAt: second)
                instance.startedAt = 2 * second
                (instance.hasObject, instance.isAlive, instance.seemsAlive) = (true, true, true)
                (instance.isListening, instance.health) = (true, .healthy)
                instance.plugged = ["shop_default"]
                machine.containers.append(instance)
            }
        }
        machine.record = Record(
            stack: stack, imageIDs: images("sha256:2"), revision: 2, changedAt: machine.now)
        machine.refresh()
        return machine
    }

    private static func wanted(_ machine: Machine) throws -> DesiredState {
        var desired = try #require(machine.desired(.apply))
        desired.since = machine.now
        return desired
    }

    @Test(arguments: [UpdateConfig.Order.startFirst, .stopFirst])
    func anUpdateInEveryOrder(_ order: UpdateConfig.Order) throws {
        let machine = Self.updated(Self.stack(["web": Self.web(order, .pause)]))
        var exploration = Exploration(try Self.wanted(machine))
        exploration.explore(from: machine, crashes: 2, accidents: 1, statesMax: 200_000)
        #expect(exploration.failures.isEmpty)
        #expect(exploration.ends > 0)
        print("\(order.rawValue): \(exploration.visited.count) states, \(exploration.ends) ends")
    }

    @Test(arguments: [UpdateConfig.Order.startFirst, .stopFirst])
    func anUpdateThatFailsInEveryOrder(_ order: UpdateConfig.Order) throws {
        let machine = Self.updated(Self.stack(["web": Self.web(order, .rollback)]))
        var exploration = Exploration(try Self.wanted(machine), broken: ["sha256:2"])
        exploration.explore(from: machine, crashes: 1, accidents: 0, statesMax: 60_000)
        #expect(exploration.failures.isEmpty)
        #expect(exploration.ends > 0)
        print("\(order.rawValue), failing: \(exploration.visited.count) states, \(exploration.ends) ends")
    }

    @Test func aDependencyInEveryOrder() throws {
        var db = Self.web(.stopFirst, .pause)
        db.replicas = 1
        var app = db
        app.dependsOn = ["db": Dependency(condition: .healthy)]
        let stack = Self.stack(["app": app, "db": db])
        var machine = Self.updated(stack)
        // From nothing.
        (machine.containers, machine.networks) = ([], [:])
        machine.revisions = [
            Revision(number: 1, stack: stack, imageIDs: ["app": "sha256:1", "db": "sha256:1"])
        ]
        machine.record = Record(
            stack: stack, imageIDs: ["app": "sha256:1", "db": "sha256:1"], revision: 1, changedAt: machine.now)
        var exploration = Exploration(try Self.wanted(machine))
        exploration.explore(from: machine, crashes: 2, accidents: 1, statesMax: 200_000)
        #expect(exploration.failures.isEmpty)
        #expect(exploration.ends > 0)
        print("dependency: \(exploration.visited.count) states, \(exploration.ends) ends")
    }
}
