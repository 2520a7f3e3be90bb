import StackModel

/// How a command about a stack ended, where 1 would not say enough. docs/reconciler.md lists the codes.
enum StackExitCode: Int32 {
    /// The stack file is invalid, or with `--strict` says something that Gantry does not do.
    case invalid = 3
    /// The rollout failed; old and new replicas serve side by side.
    case paused = 4
    /// The rollout failed, and the revision before serves again.
    case rolledBack = 5
    /// The time was over; the engine goes on.
    case timedOut = 6
    /// Another command had the stack for longer than this one was to wait.
    case locked = 7
    /// What a saved plan is about has changed since.
    case stale = 8
    /// Something is destroyed, and nobody said that it may be.
    case needsConsent = 9
    /// The rollback failed too.
    case rollbackFailed = 10

    /// By the codes of diagnostics, the first that fits.
    private static let byDiagnostic: [(String, StackExitCode)] = [
        ("rollback.failed", .rollbackFailed), ("rollout.rolled-back", .rolledBack), ("rollout.paused", .paused),
        ("stack.timeout", .timedOut), ("stack.locked", .locked), ("plan.stale", .stale),
        ("consent.needed", .needsConsent), ("stack.invalid", .invalid),
    ]

    /// `nil`: nothing that has a code of its own.
    init?(_ diagnostics: [Diagnostic]) {
        let codes = Set(diagnostics.lazy.filter { $0.severity == .error }.map(\.code))
        guard let match = Self.byDiagnostic.first(where: { codes.contains($0.0) }) else { return nil }
        self = match.1
    }
}
