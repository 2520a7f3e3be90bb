import Reconciler
import StackModel

/// One thing that happens in a run. Those that name an ordinal strike the operation, effect, news or look of that
/// number, counted from 1.
enum Happening: Equatable, Sendable {
    case intent(at: Int64, Intent)
    case accident(at: Int64, Accident)
    case operation(Int, OperationFault)
    case crashBefore(effect: Int)
    case crashAfter(effect: Int)
    case news(Int, NewsFault)
    case pull(Int, PullFault)
    case staleLook(Int)
}

/// All that there is to know of a run beforehand.
struct Scenario: Sendable {
    var seed: UInt64
    var variants: [Variant]
    /// By service and image id.
    var scripts: [String: Script]
    var images: Set<String> = []
    var happenings: [Happening]
    /// So long a request takes.
    var requestTime: Int64 = 0
    /// Nothing goes wrong from then on.
    var roughEnd: Int64
    /// The last `down` takes the volumes too.
    var removesVolumes = false

    func operationFault(_ number: Int) -> OperationFault? {
        for case .operation(number, let fault) in happenings { return fault }
        return nil
    }

    func crashesBefore(_ number: Int) -> Bool { happenings.contains(.crashBefore(effect: number)) }
    func crashesAfter(_ number: Int) -> Bool { happenings.contains(.crashAfter(effect: number)) }
    func isStale(_ number: Int) -> Bool { happenings.contains(.staleLook(number)) }

    var setsClockBack: Bool {
        happenings.contains { happening in
            if case .accident(_, .clockJump(let time)) = happening { time < 0 } else { false }
        }
    }

    func newsFault(_ number: Int) -> NewsFault? {
        for case .news(number, let fault) in happenings { return fault }
        return nil
    }

    func pullFault(_ number: Int) -> PullFault? {
        for case .pull(number, let fault) in happenings { return fault }
        return nil
    }
}

// MARK: Random scenarios

extension Scenario {
    init(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var generator = Generator(random: random)
        let first = generator.stack()
        var variants = [generator.variant(first, 0)]
        for number in 1...3 {
            variants.append(generator.variant(generator.changed(variants[number - 1].stack), number))
        }
        // The last one is good, whatever came before.
        variants.append(generator.variant(variants.last?.stack ?? first, 9))
        random = generator.random
        var happenings = [Happening.intent(at: 0, .apply(variant: 0))]
        var time = 20 * second
        for number in 1..<(2 + random.below(3)) {
            happenings.append(
                .intent(at: time, .apply(variant: number, timeout: random.chance(15) ? 30 * second : nil)))
            time += random.chance(50) ? random.time(0, 4 * second) : random.time(4 * second, 60 * second)
        }
        let services = first.services.keys.sorted()
        if random.chance(20) { happenings.append(.intent(at: time, .rollback)) }
        if random.chance(10), let service = random.pick(services) {
            happenings.append(.intent(at: random.time(20 * second, time), .stop(service: service)))
            if random.chance(50) { happenings.append(.intent(at: time + 5 * second, .start)) }
        }
        if random.chance(10), let service = random.pick(services) {
            happenings.append(.intent(at: random.time(20 * second, time), .restart(service: service)))
        }
        if random.chance(4) { happenings.append(.intent(at: time, .down(volumes: random.chance(30)))) }
        let end = time + 30 * second
        happenings += Self.faults(&random, until: end)
        self.init(
            seed: seed, variants: variants, scripts: generator.scripts, happenings: happenings,
            requestTime: random.chance(50) ? 0 : random.time(0, 8 * second), roughEnd: end,
            removesVolumes: random.chance(50))
    }

    /// Most runs have most faults off: faults that come all at once hide each other.
    private static func faults(_ random: inout SplitMix64, until end: Int64) -> [Happening] {
        guard !random.chance(15) else { return [] }
        var result: [Happening] = []
        func some(_ chance: Int, _ most: Int, _ make: (inout SplitMix64) -> Happening) {
            guard random.chance(chance) else { return }
            for _ in 0...random.below(most) { result.append(make(&random)) }
        }
        some(25, 3) { .crashBefore(effect: 1 + $0.below(90)) }
        some(25, 3) { .crashAfter(effect: 1 + $0.below(90)) }
        some(12, 3) { .operation(1 + $0.below(50), .failsBefore) }
        some(12, 3) { .operation(1 + $0.below(50), .happenedButTimedOut) }
        some(12, 3) { .operation(1 + $0.below(50), .okButDidNot) }
        some(12, 3) { .operation(1 + $0.below(50), .writeFails) }
        some(15, 6) { .news(1 + $0.below(200), .lost) }
        some(10, 6) { .news(1 + $0.below(200), .double) }
        some(10, 6) { .news(1 + $0.below(200), .late($0.time(millisecond, 5 * second))) }
        some(12, 6) { .staleLook(1 + $0.below(60)) }
        some(8, 2) { .pull(1 + $0.below(4), $0.chance(50) ? .fails : .slow) }
        func accident(_ chance: Int, _ most: Int, _ make: (inout SplitMix64) -> Accident) {
            some(chance, most) { .accident(at: $0.time(second, end), make(&$0)) }
        }
        accident(15, 3) { .kill($0.below(9)) }
        accident(8, 2) { .pause($0.below(9)) }
        accident(10, 2) { .deleteContainer($0.below(9)) }
        accident(10, 2) { .deleteInterface($0.below(9)) }
        accident(10, 2) { .deleteBridge($0.below(9)) }
        accident(10, 2) { _ in .deleteRules }
        accident(8, 1) { .deleteVolume($0.below(9)) }
        accident(8, 1) { .removeImage($0.below(9)) }
        accident(15, 2) { _ in .crash }
        accident(6, 1) { _ in .reboot }
        accident(8, 2) { .clockJump($0.time(0, 600 * second) - ($0.chance(50) ? 600 * second : 0)) }
        return result
    }
}

/// Stacks that are small, and have everything that rollouts are about.
private struct Generator {
    var random: SplitMix64
    var scripts: [String: Script] = [:]

    init(random: SplitMix64) { self.random = random }

    mutating func stack() -> Stack {
        var stack = Stack(name: "shop")
        stack.networks = ["default": Network()]
        stack.volumes = ["data": Volume()]
        let count = [1, 1, 1, 2, 2, 3][random.below(6)]
        for index in 0..<count {
            let name = ["a", "b", "c"][index]
            stack.services[name] = service(index, in: stack)
        }
        return stack
    }

    private mutating func service(_ index: Int, in stack: Stack) -> Service {
        var service = Service(image: "app")
        service.networks = ["default": NetworkAttachment()]
        service.restart.mode = [.always, .always, .unlessStopped, .onFailure, .no][random.below(5)]
        if index == 0, random.chance(15) {
            // A job: `isJob` knows it by this.
            service.restart.mode = .no
            service.command = ["migrate"]
            return service
        }
        service.replicas = [1, 2, 2, 3][random.below(4)]
        switch random.below(10) {
        case 0...4: service.healthcheck = Healthcheck(test: ["CMD", "true"])
        case 5...7:
            var port = Port(target: 80)
            port.published = UInt16(8080 + index)
            service.ports = [port]
        default: break
        }
        if random.chance(75) { service.deploy = deploy(isChecked: service.isWatched) }
        if random.chance(15) { service.mounts = [Mount(kind: .volume, source: "data", target: "/data")] }
        for earlier in 0..<index where random.chance(45) {
            let name = ["a", "b", "c"][earlier]
            guard let other = stack.services[name] else { continue }
            var condition = Dependency.Condition.started
            if other.isJob {
                condition = .completed
            } else if other.healthcheck != nil, random.chance(70) {
                condition = .healthy
            }
            service.dependsOn[name] = Dependency(condition: condition, restart: random.chance(15))
            if !other.isJob, other.networkMode == nil, random.chance(7) {
                service.networkMode = "service:\(name)"
                service.networks = [:]
                service.ports = []
                // One that finds no namespace has failed for good without these.
                service.restart.mode = .always
                service.deploy = nil
            }
        }
        return service
    }

    private mutating func deploy(isChecked: Bool) -> Deploy {
        var config = UpdateConfig()
        config.order = [nil, nil, isChecked ? .startFirst : nil, .stopFirst][random.below(4)]
        config.parallelism = [nil, 1, 2, 0][random.below(4)]
        config.monitor = [nil, 0, second, 3 * second][random.below(4)]
        config.delay = [nil, nil, second][random.below(3)]
        config.failureAction = [nil, .pause, .rollback, .rollback, .rollback, .continue][random.below(6)]
        config.failureRatioMax = [nil, nil, 0.5][random.below(3)]
        var deploy = Deploy()
        deploy.update = config
        if random.chance(15) {
            config.order = .stopFirst
            deploy.rollback = config
        }
        return deploy
    }

    mutating func changed(_ stack: Stack) -> Stack {
        var stack = stack
        for name in stack.services.keys.sorted() {
            guard var service = stack.services[name], !service.isJob else { continue }
            if random.chance(20) { service.environment["FOO"] = "\(random.below(4))" }
            if random.chance(15) { service.stopGracePeriod = Int64(1 + random.below(5)) * second }
            // What others live in cannot be scaled to nothing.
            let isHost = stack.services.values.contains { $0.networkMode == "service:\(name)" }
            if random.chance(20) { service.replicas = max(isHost ? 1 : 0, random.below(4)) }
            if random.chance(10), service.deploy != nil { service.deploy = deploy(isChecked: service.isWatched) }
            stack.services[name] = service
        }
        if random.chance(6) { stack.networks["default"]?.isInternal.toggle() }
        return stack
    }

    /// The stack with images: of the first and the last variant all serve.
    mutating func variant(_ stack: Stack, _ number: Int) -> Variant {
        var images: [String: String] = [:]
        for (name, service) in stack.services.sorted(by: { $0.key < $1.key }) {
            let isNew = number == 0 || number == 9 || random.chance(60)
            // A variant without a new image of its own has the first's: the tag leads where it led.
            let image = isNew && !service.isJob ? "sha256:\(number)" : "sha256:0"
            images[name] = image
            let key = "\(name) \(image)"
            if scripts[key] == nil { scripts[key] = script(of: service, isGood: number == 0 || number == 9) }
        }
        return Variant(stack: stack, imageIDs: images)
    }

    private mutating func script(of service: Service, isGood: Bool) -> Script {
        var script = Script()
        script.boot = service.isWatched ? random.time(10 * millisecond, 3 * second) : 0
        script.stop = random.chance(15) ? 3600 * second : random.time(millisecond, second)
        if service.isJob {
            script.fate = .ends(code: 0, after: random.time(50 * millisecond, 2 * second))
            return script
        }
        guard !isGood, !random.chance(60) else { return script }
        switch random.below(8) {
        case 0, 1, 2: script.fate = .ends(code: 1, after: random.time(millisecond, 8 * second))
        case 3: script.fate = .ends(code: 0, after: random.time(millisecond, 8 * second))
        case 4: script.fate = service.healthcheck == nil ? .unstartable : .unhealthy
        case 5: script.fate = service.deploy?.update == nil ? .serves : .hangs
        case 6: script.fate = .flaky(after: random.time(second, 20 * second))
        default: script.fate = .unstartable
        }
        return script
    }
}

extension Service {
    var isJob: Bool { command == ["migrate"] }
}
