import Dockerfile
import Images
import LinuxSystem

/// ADD.
extension StageRun {
    mutating func add(_ add: Add, _ step: Instruction, _ title: String) async throws(BuildFailure) {
        if let remote = add.copy.sources.first(where: { Add.source($0.text) != .context }) {
            throw BuildFailure.failed("remote", "ADD of \(remote.text) is not possible yet")
        }
        try await copy(add.copy, from: try contextSource(), unpacks: add.unpacks ?? true, step, title)
    }
}
