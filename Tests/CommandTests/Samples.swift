import EngineWire
import StackModel

@testable import gantry

/// 2026-03-01 12:00:00 UTC.
let noon = Moment(nanoseconds: 1_772_366_400_000_000_000)

func container(
    _ service: String, _ number: Int, state: ContainerStatus.State = .running,
    _ change: (inout ContainerStatus) -> Void = { _ in }
) -> ContainerStatus {
    var status = ContainerStatus(
        id: String(repeating: "0123456789abcdef", count: 4), name: "shop-\(service)-\(number)", stack: "shop",
        service: service, number: number, oneOff: false, image: "shop/\(service):1",
        command: "/bin/\(service) --listen", state: state, createdAt: "2026-03-01T11:56:30.123456789Z")
    if state != .created { status.startedAt = "2026-03-01T11:57:00Z" }
    change(&status)
    return status
}

func published(
    _ host: String, _ published: UInt16, _ target: UInt16, _ transport: Port.Transport = .tcp
) -> ContainerStatus.PublishedPort {
    ContainerStatus.PublishedPort(hostIP: host, published: published, target: target, transport: transport)
}

func change(
    _ action: PlanReply.Change.Action, _ kind: PlanReply.Change.Kind, _ name: String, _ reason: String,
    line: Int? = nil
) -> PlanReply.Change {
    let source = line.map { SourceMark(file: "/srv/shop/compose.yaml", line: $0, column: 5) }
    return PlanReply.Change(action: action, kind: kind, name: name, reason: reason, source: source)
}
