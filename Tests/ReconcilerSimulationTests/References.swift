import Reconciler
import StackModel

/// The reference scenarios, small and without any fault of their own.
enum References {
    static let all: [(name: String, scenario: Scenario)] = [
        ("first up", scenario { _ in }),
        ("start-first update", scenario { $0.next.imageIDs["web"] = "sha256:2" }),
        (
            "stop-first update",
            scenario {
                $0.edit { $0.update.order = .stopFirst }
                $0.next.imageIDs["web"] = "sha256:2"
            }
        ),
        (
            "update that fails and is rolled back",
            scenario {
                $0.edit { $0.update.failureAction = .rollback }
                $0.next.imageIDs["web"] = "sha256:2"
                $0.scripts["web sha256:2"] = Script(boot: 0, fate: .ends(code: 1, after: second))
            }
        ),
        (
            "update that fails, and its rollback too",
            scenario {
                $0.edit {
                    $0.update.order = .stopFirst
                    $0.update.failureAction = .rollback
                }
                $0.next.imageIDs["web"] = "sha256:2"
                var third = $0.next
                third.imageIDs["web"] = "sha256:3"
                $0.variants = [third]
                $0.more = [(at: 40 * second, .apply(variant: 2))]
                $0.scripts["web sha256:2"] = Script(boot: 500 * millisecond, fate: .servesUntil(39 * second))
                $0.scripts["web sha256:3"] = Script(boot: 0, fate: .ends(code: 1, after: second))
            }
        ),
        (
            "update that fails and is paused",
            scenario {
                $0.next.imageIDs["web"] = "sha256:2"
                $0.scripts["web sha256:2"] = Script(boot: 0, fate: .unhealthy)
            }
        ),
        ("scale up", scenario { $0.next.stack.services["web"]?.replicas = 3 }),
        ("scale down", scenario { $0.next.stack.services["web"]?.replicas = 1 }),
        (
            "dependency that must be healthy",
            scenario {
                $0.add("app", dependsOn: .healthy)
                $0.next.imageIDs["web"] = "sha256:2"
                $0.next.imageIDs["app"] = "sha256:2"
            }
        ),
        (
            "job before what depends on it",
            scenario {
                $0.addJob()
                $0.next.imageIDs["web"] = "sha256:2"
            }
        ),
        (
            "network that changed",
            scenario { $0.next.stack.networks["default"]?.isInternal = true }
        ),
        (
            "one writer of a volume",
            scenario {
                $0.edit {
                    $0.replicas = 1
                    $0.mounts = [Mount(kind: .volume, source: "data", target: "/data")]
                }
                $0.next.imageIDs["web"] = "sha256:2"
            }
        ),
        (
            "another update amid an update, and back",
            scenario {
                $0.next.imageIDs["web"] = "sha256:2"
                var third = $0.next
                third.imageIDs["web"] = "sha256:3"
                $0.more = [
                    (at: 21 * second, .apply(variant: 2)), (at: 40 * second, .rollback),
                ]
                $0.variants = [third]
            }
        ),
    ]

    struct Draft {
        var first: Variant
        var next: Variant
        var variants: [Variant] = []
        var scripts: [String: Script] = [:]
        var more: [(at: Int64, Intent)] = []

        mutating func edit(_ body: (inout Service) -> Void) {
            if var service = first.stack.services["web"] {
                body(&service)
                first.stack.services["web"] = service
                next.stack.services["web"] = service
            }
        }

        mutating func add(_ name: String, dependsOn condition: Dependency.Condition) {
            guard var service = first.stack.services["web"] else { return }
            service.replicas = 1
            service.dependsOn = ["web": Dependency(condition: condition)]
            for path in [\Draft.first, \Draft.next] {
                self[keyPath: path].stack.services[name] = service
                self[keyPath: path].imageIDs[name] = "sha256:1"
            }
        }

        mutating func addJob() {
            var job = Service(image: "app")
            job.networks = ["default": NetworkAttachment()]
            job.command = ["migrate"]
            for path in [\Draft.first, \Draft.next] {
                self[keyPath: path].stack.services["job"] = job
                self[keyPath: path].imageIDs["job"] = "sha256:1"
                self[keyPath: path].stack.services["web"]?.dependsOn = ["job": Dependency(condition: .completed)]
            }
            scripts["job sha256:1"] = Script(fate: .ends(code: 0, after: second))
            scripts["job sha256:9"] = scripts["job sha256:1"]
        }
    }

    static func scenario(_ edit: (inout Draft) -> Void) -> Scenario {
        var web = Service(image: "app")
        web.replicas = 2
        web.restart.mode = .always
        web.networks = ["default": NetworkAttachment()]
        web.healthcheck = Healthcheck(test: ["CMD", "true"])
        web.update.monitor = second
        var stack = Stack(name: "shop", services: ["web": web])
        stack.networks["default"] = Network()
        stack.volumes["data"] = Volume()
        let first = Variant(stack: stack, imageIDs: ["web": "sha256:1"])
        var draft = Draft(first: first, next: first)
        edit(&draft)
        var last = draft.next
        for name in last.imageIDs.keys { last.imageIDs[name] = "sha256:9" }
        var scripts = draft.scripts
        for name in ["web", "app"] {
            for number in [1, 2, 3, 9] where scripts["\(name) sha256:\(number)"] == nil {
                scripts["\(name) sha256:\(number)"] = Script(boot: 500 * millisecond, stop: 200 * millisecond)
            }
        }
        let intents: [Happening] =
            [.intent(at: 0, .apply(variant: 0)), .intent(at: 20 * second, .apply(variant: 1))]
            + draft.more.map { .intent(at: $0.at, $0.1) }
        return Scenario(
            seed: 1, variants: [draft.first, draft.next] + draft.variants + [last], scripts: scripts,
            happenings: intents, requestTime: 2 * second, roughEnd: 60 * second)
    }
}

extension Service {
    /// Its `update_config`, made when there is none.
    var update: UpdateConfig {
        get { deploy?.update ?? UpdateConfig() }
        set {
            if deploy == nil { deploy = Deploy() }
            deploy?.update = newValue
        }
    }
}
