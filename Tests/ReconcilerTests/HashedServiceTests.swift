import StackModel
import Testing

@testable import Reconciler

struct HashedServiceTests {
    /// What plans do not act on is not hashed, and nothing else but the dependencies is left out.
    @Test func isWithoutWhatPlansIgnore() {
        var service = Service(image: "a")
        service.build = Build(context: ".")
        service.pullPolicy = PullPolicy(mode: .always)
        service.develop = Develop()
        service.attach = false
        service.expose = ["80"]
        service.replicas = 3
        service.profiles = ["p"]
        service.dependsOn = ["db": Dependency(condition: .started)]
        #expect(service.hashed == Service(image: "a").hashed)
        let ignored = FieldRule.all.filter { $0.effect == .none }
        #expect(ignored.allSatisfy { !$0.differences(service, Service(image: "a")).isEmpty })
        #expect(ignored.allSatisfy { $0.differences(service.hashed, Service(image: "a").hashed).isEmpty })
        service.restart = RestartPolicy(mode: .always)
        service.environment = ["A": "b"]
        #expect(service.hashed.restart.mode == .always && service.hashed.environment == ["A": "b"])
    }
}
