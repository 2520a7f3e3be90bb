import EngineWire
import FoundationEssentials
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
    _ action: PlanReply.Change.Action, _ kind: PlanReply.Change.Kind, _ address: String, _ reason: String,
    line: Int? = nil, order: String? = nil, fields: [PlanReply.Field] = [],
    disruption: PlanReply.Disruption = .none
) -> PlanReply.Change {
    PlanReply.Change(
        address: address, action: action, kind: kind, name: "shop-\(address)", reason: reason,
        source: line.map(mark), order: order, fields: fields, disruption: disruption)
}

func field(
    _ path: String, _ before: String?, _ after: String?, line: Int? = nil, sensitive: Bool = false
) -> PlanReply.Field {
    PlanReply.Field(path: path, before: before, after: after, sensitive: sensitive, source: line.map(mark))
}

private func mark(_ line: Int) -> SourceMark { SourceMark(file: "/srv/shop/compose.yaml", line: line, column: 5) }

/// As the engine sends it.
func json(_ plan: PlanReply) throws -> String { String(decoding: try JSONEncoder().encode(plan), as: UTF8.self) }
