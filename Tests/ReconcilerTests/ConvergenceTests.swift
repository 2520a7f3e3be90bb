import Reconciler
import StackModel
import Testing

/// Random stacks on a simulated machine, with steps that fail, crashes between steps and accidents. A failure names its
/// seed: put it into `seeds` alone to see it again.
@Suite struct ConvergenceTests {
    private static let seeds: Range<UInt64> = 0..<200
    /// Plans until a stack must have settled.
    private static let roundsMax = 60

    @Test func everyStackSettlesAndStaysSettled() {
        for seed in Self.seeds {
            var random = SplitMix64(seed: seed)
            let (stack, behaviours) = Self.stack(&random)
            var world = SimulatedWorld(desired: Self.wanted(stack, &random), behaviours: behaviours)
            world.beginCommand()
            settle(&world, &random, seed, "up", isRough: random.chance(50))
            checkSecondUp(world, seed)

            world.desired.mode = .maintain
            if let service = stack.services.keys.sorted().first, random.chance(30) { world.addOneOff(of: service) }
            for _ in 0..<Int.random(in: 0...4, using: &random) { world.disturb(&random) }
            settle(&world, &random, seed, "maintain", isRough: random.chance(30))

            world.desired.mode = .apply
            world.desired.stack = Self.changed(stack, &random)
            for name in stack.services.keys.sorted() where random.chance(30) {
                world.desired.imageIDs[name] = "sha256:new"
            }
            world.beginCommand()
            settle(&world, &random, seed, "change", isRough: random.chance(50))
            checkSecondUp(world, seed)
            down(&world, &random, seed)
            #expect(world.violations.isEmpty, "seed \(seed)")
            if !world.violations.isEmpty { return }
        }
    }

    /// Plans and runs until there is nothing left to do, which must come.
    private func settle(
        _ world: inout SimulatedWorld, _ random: inout SplitMix64, _ seed: UInt64, _ phase: String, isRough: Bool
    ) {
        var last = Plan()
        for round in 0..<Self.roundsMax {
            var shuffled = world.state
            shuffled.containers.shuffle(using: &random)
            shuffled.networks.shuffle(using: &random)
            last = plan(desired: world.desired, observed: world.state, now: world.now)
            let again = plan(desired: world.desired, observed: shuffled, now: world.now)
            #expect(last == again, "seed \(seed), \(phase): the order of the input shows")
            for step in last.steps { #expect(step.after.allSatisfy { $0 < step.id }, "seed \(seed), \(phase)") }
            if last.isEmpty {
                guard let wakeAt = last.wakeAt else {
                    let faults = world.faults()
                    #expect(faults.isEmpty, "seed \(seed), \(phase)")
                    return
                }
                world.advance(to: wakeAt)
                continue
            }
            let rough = isRough && round < 8
            let before = world.state.containers.map { "\($0.name) \($0.state) \($0.health) serving \($0.isServing)" }
            world.run(
                last, random: &random, failures: rough ? 15 : 0,
                crashAfter: rough && random.chance(50) ? Int.random(in: 0...5, using: &random) : nil)
            if !world.violations.isEmpty {
                Issue.record("seed \(seed), \(phase): \(world.violations) with \(lines(last)) on \(before)")
                return
            }
            if rough, random.chance(20) { world.disturb(&random) }
            if let wakeAt = last.wakeAt, !rough { world.advance(to: wakeAt) }
        }
        Issue.record("seed \(seed), \(phase): not settled: \(lines(last)) \(last.blocked.map(\.message))")
    }

    /// `up` once more only starts jobs that have ended and that nobody waits for, as Compose does.
    private func checkSecondUp(_ world: SimulatedWorld, _ seed: UInt64) {
        var world = world
        world.beginCommand()
        world.desired.forceRecreate = false
        let jobs = Set(world.behaviours.filter { $0.value == .completes }.keys)
        let second = plan(desired: world.desired, observed: world.state, now: world.now)
        let rest = second.displayChanges.filter { change in
            let isJob = jobs.contains { change.name.hasPrefix("shop-\($0)-") }
            return !(change.action == .start && isJob)
        }
        #expect(rest.isEmpty, "seed \(seed): second up: \(changes(second))")
        var maintain = world.desired
        maintain.mode = .maintain
        let kept = plan(desired: maintain, observed: world.state, now: world.now)
        #expect(kept.isEmpty && kept.wakeAt == nil, "seed \(seed): maintain after up: \(changes(kept))")
    }

    private func down(_ world: inout SimulatedWorld, _ random: inout SplitMix64, _ seed: UInt64) {
        let removeVolumes = random.chance(50)
        let volumes = world.state.volumes.count
        world.run(planDown(observed: world.state, removeVolumes: removeVolumes), random: &random, isDown: true)
        #expect(world.state.containers.isEmpty, "seed \(seed): down")
        #expect(world.state.networks.isEmpty, "seed \(seed): down")
        #expect(world.state.volumes.count == (removeVolumes ? 0 : volumes), "seed \(seed): down")
        #expect(planDown(observed: world.state).isEmpty, "seed \(seed): down twice")
    }

    // MARK: Random stacks

    private static func wanted(_ stack: Stack, _ random: inout SplitMix64) -> DesiredState {
        desired(stack, .apply) { wanted in
            for name in stack.services.keys.sorted() where random.chance(10) {
                if (stack.services[name]?.replicas ?? 0) > 1 {
                    wanted.scale[name] = Int.random(in: 0...4, using: &random)
                }
            }
            wanted.forceRecreate = random.chance(10)
        }
    }

    private static func stack(_ random: inout SplitMix64) -> (Stack, [String: SimulatedWorld.Behaviour]) {
        var stack = Stack(name: "shop")
        for key in ["back", "default", "front"] { stack.networks[key] = Network() }
        for key in ["cache", "data"] { stack.volumes[key] = Volume() }
        var behaviours: [String: SimulatedWorld.Behaviour] = [:]
        for index in 0..<Int.random(in: 1...6, using: &random) {
            let name = "s\(index)"
            var service = Service(image: "image\(index)")
            switch Int.random(in: 0..<10, using: &random) {
            case 0, 1:
                behaviours[name] = .completes
                service.restart.mode = random.chance(50) ? .no : .onFailure
            case 2:
                behaviours[name] = .crashes(times: Int.random(in: 1...4, using: &random))
                service.restart.mode = .always
            default:
                behaviours[name] = .serves
                service.restart.mode = random.chance(50) ? .always : .unlessStopped
                service.replicas = Int.random(in: 1...3, using: &random)
                if random.chance(40) { service.healthcheck = Healthcheck(test: ["CMD", "true"]) }
                if random.chance(50) { service.deploy = update(&random) }
            }
            addDependencies(to: &service, of: index, stack, behaviours, &random)
            for key in ["back", "default", "front"] where service.networkMode == nil && random.chance(50) {
                service.networks[key] = NetworkAttachment()
            }
            if random.chance(30) { service.mounts = [Mount(kind: .volume, source: "data", target: "/data")] }
            stack.services[name] = service
        }
        return (stack, behaviours)
    }

    private static func update(_ random: inout SplitMix64) -> Deploy {
        var deploy = Deploy()
        var config = UpdateConfig()
        config.order = [nil, .startFirst, .stopFirst].randomElement(using: &random) ?? nil
        config.parallelism = [nil, 1, 2].randomElement(using: &random) ?? nil
        config.monitor = [nil, 0, second].randomElement(using: &random) ?? nil
        config.delay = [nil, second].randomElement(using: &random) ?? nil
        deploy.update = config
        return deploy
    }

    private static func addDependencies(
        to service: inout Service, of index: Int, _ stack: Stack, _ behaviours: [String: SimulatedWorld.Behaviour],
        _ random: inout SplitMix64
    ) {
        for earlier in 0..<index where random.chance(35) {
            let name = "s\(earlier)"
            var condition = Dependency.Condition.started
            if behaviours[name] == .completes, random.chance(70) { condition = .completed }
            if stack.services[name]?.healthcheck != nil, random.chance(70) { condition = .healthy }
            service.dependsOn[name] = Dependency(condition: condition, restart: random.chance(20))
            if behaviours[name] == .serves, random.chance(10) { service.networkMode = "service:\(name)" }
        }
    }

    private static func changed(_ stack: Stack, _ random: inout SplitMix64) -> Stack {
        var stack = stack
        for name in stack.services.keys.sorted() {
            guard var service = stack.services[name] else { continue }
            if random.chance(30) { service.environment["FOO"] = "new" }
            if random.chance(20) { service.stopGracePeriod = second }
            if random.chance(20), service.replicas > 1 { service.replicas = Int.random(in: 1...4, using: &random) }
            stack.services[name] = service
        }
        if random.chance(15) { stack.networks["front"]?.isInternal = true }
        return stack
    }
}
