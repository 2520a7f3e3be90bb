import EngineWire
import StackModel

/// `running(3), exited(1)`: running first, then by name.
func statesText(_ states: [String: Int]) -> String {
    states.filter { $0.value > 0 }
        .sorted { ($0.key == "running" ? 0 : 1, $0.key) < ($1.key == "running" ? 0 : 1, $1.key) }
        .map { "\($0.key)(\($0.value))" }
        .joined(separator: ", ")
}

/// Output of `gantry ls`.
func renderStacks(_ stacks: [StackSummary]) -> String {
    let rows = stacks.map { [$0.name, statesText($0.states), $0.configFiles.joined(separator: ",")] }
    return renderTable(["NAME", "STATUS", "CONFIG FILES"], rows)
}

/// Output of `gantry ls --format json`: one array, as Docker Compose prints it.
func renderStacksJSON(_ stacks: [StackSummary]) -> String {
    let items = stacks.map { stack in
        JSONText.object([
            ("Name", .string(stack.name)), ("Status", .string(statesText(stack.states))),
            ("ConfigFiles", .string(stack.configFiles.joined(separator: ","))),
        ])
    }
    return JSONText.array(items).text + "\n"
}

/// Output of `gantry history` for a stack. `human`: ages in place of times.
func revisionListing(_ revisions: [RevisionSummary], now: Moment, human: Bool) -> Listing {
    let rows = revisions.map { revision in
        let images = revision.images.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let age = humanAge(of: revision.createdAt, now: now).map { $0 + " ago" } ?? revision.createdAt
        let state =
            revision.isCurrent ? (revision.isStable ? "current, stable" : "current") : revision.isStable ? "stable" : ""
        return JSONText.object([
            ("Revision", .number(revision.number)), ("CreatedAt", .string(revision.createdAt)),
            ("Created", .string(human ? age : revision.createdAt)), ("State", .string(state)),
            ("Cause", .string(revision.cause)), ("Images", .string(images.joined(separator: ","))),
        ])
    }
    return Listing(
        columns: [
            ("Revision", "REVISION"), ("Created", "CREATED"), ("State", "STATE"), ("Cause", "CAUSE"),
            ("Images", "IMAGES"),
        ], headings: [("CreatedAt", "CREATED AT")], rows: rows)
}

/// Output of `gantry rollout status`.
func rolloutListing(_ reply: RolloutReply) -> Listing {
    let rows = reply.services.map { service in
        JSONText.object([
            ("Stack", .string(reply.stack)), ("Revision", .number(reply.revision)),
            ("Service", .string(service.service)),
            ("Updated", .string("\(service.updated)/\(service.replicas)")), ("Ready", .number(service.ready)),
            ("State", .string(service.state.rawValue)),
            ("Problem", .string(service.problems.map(\.message).joined(separator: "; "))),
        ])
    }
    return Listing(
        columns: [
            ("Revision", "REVISION"), ("Service", "SERVICE"), ("Updated", "UPDATED"), ("Ready", "READY"),
            ("State", "STATE"), ("Problem", "PROBLEM"),
        ], headings: [("Stack", "STACK")], rows: rows)
}
