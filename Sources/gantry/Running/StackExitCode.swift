import StackModel

/// How a command about a stack ended, where 1 would not say enough. docs/reconciler.md lists the codes.
enum StackExitCode: Int32 {
    /// The rollout failed; old and new replicas serve side by side.
    case paused = 4
    /// The rollout failed, and the revision before serves again.
    case rolledBack = 5
    /// The time was over; the engine goes on.
    case timedOut = 6
    /// The rollback failed too.
    case rollbackFailed = 10

    /// `nil`: nothing that has a code of its own.
    init?(_ diagnostics: [Diagnostic]) {
        let codes = Set(diagnostics.map(\.code))
        if codes.contains("rollback.failed") {
            self = .rollbackFailed
        } else if codes.contains("rollout.rolled-back") {
            self = .rolledBack
        } else if codes.contains("rollout.paused") {
            self = .paused
        } else if codes.contains("stack.timeout") {
            self = .timedOut
        } else {
            return nil
        }
    }
}
