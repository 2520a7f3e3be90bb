import EngineWire
import StackModel

/// `GET /stacks/{name}/services`.
extension Engine {
    /// By name. Those of a stack that is being taken down are none any more.
    public func serviceSummaries(stack name: String) throws(EngineError) -> [ServiceSummary] {
        guard let record = stacks[name]?.record else { throw .stackNotFound(name) }
        guard record.active else { return [] }
        return record.stack.services.sorted { $0.key < $1.key }.map { service, definition in
            var summary = ServiceSummary(name: service, image: definition.image)
            if definition.schedule == nil { summary.replicas = record.scale[service] ?? definition.replicas }
            summary.dependsOn = definition.dependsOn.sorted { $0.key < $1.key }.map {
                ServiceSummary.Dependency(service: $0.key, condition: $0.value.condition)
            }
            summary.networks = definition.networks.keys.sorted()
            summary.hasHealthcheck = definition.healthcheck != nil
            summary.isStopped = record.stopped.contains(service)
            return summary
        }
    }
}
