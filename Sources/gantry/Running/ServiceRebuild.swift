import EngineClient
import StackModel

/// What the watch action `rebuild` does: builds services and replaces their containers by ones of the new images.
struct ServiceRebuild {
    let session: Session
    let client: EngineClient
    let stack: Stack

    /// Ends when the new containers run. A signal is a `WatchInterruption`.
    let run: ([String], SignalSource) throws -> Void
}
