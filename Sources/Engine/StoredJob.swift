import Reconciler
import StackModel

/// A service that runs by the clock: what was done about it, and what a command said of it.
struct StoredJob: StoredRecord {
    static let kind = "job"

    var stackName: String
    var service: String
    var record: JobRecord
    /// What it was when it was last looked at: times of another schedule are not made up for.
    var schedule: Schedule
    /// By `job suspend` or `job resume`; `nil` leaves it to the stack file.
    var isSuspended: Bool?

    var recordID: String { "\(stackName)/\(service)" }
}
