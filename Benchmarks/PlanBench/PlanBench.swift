import Reconciler
import StackModel

// Times the pure part of a reconcile that has nothing to do: plan, and whether the goal is reached, of a stack of many
// services with one replica each.
//
//   GANTRY_BENCH=1 swift run -c release --scratch-path .build-test plan-bench [SERVICES]

@main
struct PlanBench {
    private static let runs = 51
    /// What must hold at 1,000 services (docs/reconciler.md).
    private static let goal = Duration.milliseconds(20)

    static func main() {
        let count = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1_000
        let stack = stack(of: count)
        let observed = observed(stack)
        var desired = DesiredState(stack: stack, mode: .apply)
        desired.imageIDs = stack.services.mapValues { _ in "sha256:1" }
        let clock = ContinuousClock()
        var times: [Duration] = []
        for _ in 0..<runs {
            times.append(
                clock.measure {
                    let plan = Reconciler.plan(desired: desired, observed: observed, now: 10)
                    precondition(plan.isEmpty && plan.blocked.isEmpty, "the plan is not empty")
                    precondition(Reconciler.goal(desired: desired, observed: observed) == .reached, "not reached")
                })
        }
        times.sort()
        let (median, best, worst) = (times[runs / 2], times[0], times[runs - 1])
        print("plan and no-op of \(count) services: median \(median), best \(best), worst \(worst) of \(runs)")
        if count == 1_000, median > goal { print("slower than \(goal)") }
    }

    /// As Benchmarks/config.py has them.
    private static func stack(of count: Int) -> Stack {
        var stack = Stack(name: "bench")
        (stack.networks["front"], stack.volumes["data"]) = (Network(), Volume())
        for number in 0..<count {
            var service = Service(image: "registry.example.com/app:\(number)")
            service.command = ["serve", "--id", "\(number)"]
            service.environment = ["LOG_LEVEL": "info", "MODE": "production", "NAME": "svc\(number)"]
            service.ports = [Port(target: 80, published: UInt16(10_000 + number % 50_000))]
            service.mounts = [
                Mount(kind: .volume, source: "data", target: "/data"),
                Mount(kind: .bind, source: "/srv/conf", target: "/etc/app", readOnly: true),
            ]
            service.networks = ["front": NetworkAttachment()]
            if number > 0 { service.dependsOn = ["svc\(number - 1)": Dependency(condition: .started)] }
            service.healthcheck = Healthcheck(test: ["CMD-SHELL", "curl -f http://localhost/"])
            service.healthcheck?.interval = 10_000_000_000
            service.labels = ["com.example.id": "\(number)"]
            service.restart = RestartPolicy(mode: .unlessStopped)
            stack.services["svc\(number)"] = service
            stack.sources["services.svc\(number)"] = SourceMark(file: "compose.yaml", line: number + 1, column: 3)
        }
        return stack
    }

    private static func observed(_ stack: Stack) -> ObservedState {
        let containers = stack.services.keys.sorted().compactMap { name -> ObservedContainer? in
            guard let definition = ContainerDefinition(stack: stack, service: name, imageID: "sha256:1") else {
                return nil
            }
            var container = ObservedContainer(
                id: "id-\(name)", name: "bench-\(name)-1", service: name, number: 1, definition: definition,
                state: .running)
            (container.createdAt, container.startedAt) = (1, 2)
            (container.healthcheckDefined, container.health) = (true, .healthy)
            return container
        }
        return ObservedState(
            containers: containers, networks: [ObservedNetwork(name: "bench_front", definition: Network())],
            volumes: [ObservedVolume(name: "bench_data", definition: Volume())])
    }
}
