import FoundationEssentials
import Images
import Reconciler
import StackModel

/// The label `com.docker.compose.config-hash` of a service's containers, 64 hexadecimal digits: the SHA-256 of the
/// service as JSON with sorted keys. Docker Compose computes it alike, over its own model: values differ from its.
public func configHash(of service: Service) throws(EngineError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
        return Digest.sha256(of: Array(try encoder.encode(service.hashed))).hex
    } catch {
        // JSON has no infinite numbers, and nothing else can fail.
        throw .badRequest("a service cannot be written as JSON: \(error)")
    }
}
