import Reconciler
import StackModel

/// A way in which the core is broken: by what it plans, hears or says.
struct Mutant: Sendable {
    var name: String
    var planner: Convergence.Planning = { $0.plan($1, now: $2) }
    var event: @Sendable (Convergence.Event) -> Convergence.Event = { $0 }
    var commands: @Sendable ([Convergence.Command]) -> [Convergence.Command] = { $0 }
}
