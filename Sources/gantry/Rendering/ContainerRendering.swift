import EngineWire
import StackModel

/// `Up 3 minutes (healthy)`, `Exited (1) 2 seconds ago`: what Docker prints for a container's state.
func statusText(_ container: ContainerStatus, now: Moment) -> String {
    let code = container.exitCode ?? 0
    let ended = humanAge(of: container.finishedAt, now: now).map { " \($0) ago" } ?? ""
    let note = container.note.map { ": \($0)" } ?? ""
    switch container.state {
    case .created: return "Created" + note
    case .dead: return "Dead" + note
    case .exited: return "Exited (\(code))\(ended)\(note)"
    case .restarting: return "Restarting (\(code))\(ended)\(note)"
    case .running, .paused:
        let up = "Up " + (humanAge(of: container.startedAt, now: now) ?? "Less than a second")
        if container.state == .paused { return up + " (Paused)" }
        return up + healthSuffix(container.health)
    }
}

private func healthSuffix(_ health: ContainerStatus.Health?) -> String {
    switch health {
    case nil: ""
    case .starting: " (health: starting)"
    case .healthy: " (healthy)"
    case .unhealthy: " (unhealthy)"
    }
}

/// `127.0.0.1:8080->80/tcp, 0.0.0.0:9000-9002->9000-9002/tcp`: neighbouring ports as one range.
func portsText(_ ports: [ContainerStatus.PublishedPort]) -> String {
    let sorted = Set(ports).sorted {
        ($0.hostIP, $0.transport.rawValue, $0.target, $0.published)
            < ($1.hostIP, $1.transport.rawValue, $1.target, $1.published)
    }
    var groups: [(first: ContainerStatus.PublishedPort, count: UInt16)] = []
    for port in sorted {
        if let (first, count) = groups.last, first.hostIP == port.hostIP, first.transport == port.transport,
            Int(first.target) + Int(count) == Int(port.target), Int(first.published) + Int(count) == Int(port.published)
        {
            groups[groups.count - 1].count += 1
        } else {
            groups.append((port, 1))
        }
    }
    return groups.map { group in
        let host = group.first.hostIP.contains(":") ? "[\(group.first.hostIP)]" : group.first.hostIP
        let published = rangeText(group.first.published, group.count)
        return "\(host):\(published)->\(rangeText(group.first.target, group.count))/\(group.first.transport.rawValue)"
    }.joined(separator: ", ")
}

private func rangeText(_ first: UInt16, _ count: UInt16) -> String {
    count == 1 ? "\(first)" : "\(first)-\(Int(first) + Int(count) - 1)"
}

/// Output of `gantry ps`.
func renderContainers(_ containers: [ContainerStatus], now: Moment, truncating: Bool = true) -> String {
    let commandWidthMax = 20
    let rows = containers.map { container in
        let command = truncating ? container.command.truncated(to: commandWidthMax) : container.command
        return [
            container.name, container.image, "\"\(command)\"", container.service,
            (humanAge(of: container.createdAt, now: now) ?? "Unknown time") + " ago",
            statusText(container, now: now), portsText(container.ports),
        ]
    }
    return renderTable(["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"], rows)
}

/// Output of `gantry ps --format json`: one object a line with Docker Compose's members.
func renderContainersJSON(_ containers: [ContainerStatus], now: Moment) -> String {
    containers.map { containerJSON($0, now: now).text + "\n" }.joined()
}

private func containerJSON(_ container: ContainerStatus, now: Moment) -> JSONText {
    let labels = container.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    let publishers = container.ports.map { port in
        JSONText.object([
            ("URL", .string(port.hostIP)), ("TargetPort", .number(Int(port.target))),
            ("PublishedPort", .number(Int(port.published))), ("Protocol", .string(port.transport.rawValue)),
        ])
    }
    return .object([
        ("Command", .string("\"\(container.command)\"")), ("CreatedAt", .string(container.createdAt)),
        ("ExitCode", .number(container.exitCode ?? 0)), ("Health", .string(container.health?.rawValue ?? "")),
        ("ID", .string(String(container.id.prefix(12)))), ("Image", .string(container.image)),
        ("Labels", .string(labels.joined(separator: ","))), ("Name", .string(container.name)),
        ("Names", .string(container.name)),
        ("Networks", .string(container.addresses.keys.sorted().joined(separator: ","))),
        ("Ports", .string(portsText(container.ports))), ("Project", .string(container.stack)),
        ("Publishers", .array(publishers)), ("Restarts", .number(container.restarts)),
        ("RunningFor", .string((humanAge(of: container.createdAt, now: now) ?? "Unknown time") + " ago")),
        ("Service", .string(container.service)), ("State", .string(container.state.rawValue)),
        ("Status", .string(statusText(container, now: now))), ("Note", .optional(container.note)),
    ])
}
