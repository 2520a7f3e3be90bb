import EngineWire
import StackModel

/// How a live tree looks.
extension LiveTree {
    /// The picture: a heading, and the tree in as many rows as there are.
    func frame(now: Int64, columns: Int, rows: Int, color: Bool) -> [String] {
        let nodes = nodes(now: now)
        guard !nodes.isEmpty else { return [] }
        // A row for the heading, and one for the cursor.
        let shown = folded(nodes, room: max(1, rows - 2))
        let tick = Int(now / 100_000_000)
        let lines = TreeLines(columns: columns, color: color, tick: tick).lines(shown)
        let text = heading(nodes, now: now).truncated(to: max(10, columns - 1))
        return [coloured(text, .bold, color)] + lines
    }

    /// `[+] shop  revision 5  7/9 done  12.3s`.
    private func heading(_ nodes: [TreeNode], now: Int64) -> String {
        let leaves = nodes.flatMap { $0.children.isEmpty ? [$0] : $0.children }.filter { $0.kind != .summary }
        let done = leaves.count { $0.mark == .finished }
        var parts = ["[+] \(stackName.map { harmless($0) } ?? "Running")"]
        if let rollout = look?.rollout { parts.append("revision \(rollout.revision)") }
        parts.append("\(done)/\(leaves.count) done")
        parts.append("\(tenths(now - beganAt))s")
        return parts.joined(separator: "  ")
    }

    func nodes(now: Int64) -> [TreeNode] {
        let own = Dictionary(grouping: names.compactMap { replicas[$0] }, by: \.service)
        var nodes = objects.map { node($0, now: now) }
        nodes += shownServices.map { node(service: $0, own[$0] ?? [], now: now) }
        let idle = unchangedServices
        if !idle.isEmpty, !services.isEmpty {
            let title = idle.count == 1 ? "\(idle[0]) unchanged" : "\(idle.count) services unchanged"
            nodes.append(TreeNode(kind: .summary, mark: .finished, title: title))
        }
        return nodes
    }

    // MARK: - Services

    /// Those that something happens to, and those that wait for others.
    private var shownServices: [String] {
        guard end == .running, let look else { return services }
        let coming = candidates.filter { !services.contains($0) && look.members[$0] == nil }
        let all = services + coming
        return all.indices.sorted { (rank(all[$0]), $0) < (rank(all[$1]), $1) }.map { all[$0] }
    }

    private var unchangedServices: [String] {
        guard let look else { return [] }
        return candidates.filter { !services.contains($0) && look.members[$0] != nil }
    }

    /// Services of the stack file that have replicas by themselves.
    private var candidates: [String] {
        (stack?.services ?? [:]).filter { name, service in
            service.replicas > 0 && service.schedule == nil && service.provider == nil
                && selected?.contains(name) ?? true
        }.keys.sorted()
    }

    private func node(service: String, _ own: [Replica], now: Int64) -> TreeNode {
        let children = own.sorted { ($0.number ?? 0, $0.title) < ($1.number ?? 0, $1.title) }
            .map { node($0, now: now) }
        let reason = waitReason(service)
        guard !own.isEmpty else {
            return TreeNode(kind: .service, mark: .waiting, title: service, status: reason ?? "waiting")
        }
        let startedAt = own.map(\.item.startedAt).min() ?? now
        let lastEnd = own.compactMap(\.item.endedAt).max() ?? now
        var result = TreeNode(kind: .service, mark: mark(service, own, children), title: service)
        result.elapsed = max(0, (result.mark == .finished || end != .running ? lastEnd : now) - startedAt)
        let progress = rolloutText(service, own)
        if let only = children.first, children.count == 1, (stack?.services[service]?.replicas ?? 1) <= 1 {
            let status = only.mark == .waiting ? reason ?? only.status : only.status
            result.status = [progress, status].compactMap(\.self).joined(separator: "; ")
            return result
        }
        let isWaiting = reason != nil && children.allSatisfy { $0.mark == .waiting }
        result.status = (isWaiting ? reason : progress) ?? readyText(service, own)
        result.children = children
        return result
    }

    private func mark(_ service: String, _ own: [Replica], _ children: [TreeNode]) -> TreeNode.Mark {
        var marks = children.map(\.mark)
        // All replicas may be well between two steps of an update.
        switch look?.rollout?.services.first(where: { $0.service == service })?.state {
        case .failed?: marks.append(.failing)
        case .canary?, .paused?: marks.append(.waiting)
        case .progressing? where own.contains(where: isReplaced): marks.append(end == .running ? .moving : .waiting)
        case .progressing?, .complete?, nil: break
        }
        if marks.contains(.failing) { return .failing }
        if marks.contains(.moving) { return .moving }
        return marks.contains(.waiting) ? .waiting : .finished
    }

    /// `3/6 updated, 3 healthy`, where replicas are being replaced.
    private func rolloutText(_ service: String, _ own: [Replica]) -> String? {
        guard let rollout = look?.rollout?.services.first(where: { $0.service == service }) else { return nil }
        let ready = "\(rollout.ready) \(goodWord(service))"
        let count = "\(rollout.updated)/\(rollout.replicas) updated, \(ready)"
        switch rollout.state {
        case .canary: return "canary: \(count); waits for `gantry promote`"
        case .paused: return "paused: \(count)"
        case .failed: return "failed: \(rollout.problems.first.map { harmless($0.message) } ?? count)"
        case .progressing: return own.contains(where: isReplaced) ? count : nil
        case .complete: return nil
        }
    }

    /// `2/3 healthy`.
    private func readyText(_ service: String, _ own: [Replica]) -> String {
        let staying = own.filter { !["Removed", "Removing"].contains($0.item.status) }
        guard !staying.isEmpty else {
            return own.allSatisfy { $0.item.status == "Removed" } ? "removed" : "removing"
        }
        let looks = staying.map(state)
        let good = looks.count { $0.mark == .finished }
        let bad = looks.count { $0.mark == .failing }
        let wanted = max(staying.count, stack?.services[service]?.replicas ?? 0)
        return "\(good)/\(wanted) \(good == 0 || looks.contains { $0.isGood } ? goodWord(service) : "done")"
            + (bad > 0 ? ", \(bad) failing" : "")
    }

    private func goodWord(_ service: String) -> String {
        let test = stack?.services[service]?.healthcheck?.test
        // The image may have one, too.
        let isSeen = look?.members[service]?.contains { $0.health != nil } ?? false
        return isSeen || test.map { $0.first != "NONE" } ?? false ? "healthy" : "running"
    }

    // MARK: - Replicas

    private func node(_ replica: Replica, now: Int64) -> TreeNode {
        let state = state(replica)
        let until = state.mark == .finished || end != .running ? replica.item.endedAt ?? now : now
        return TreeNode(
            kind: .replica, mark: state.mark, title: replica.title, status: state.text,
            elapsed: max(0, until - replica.item.startedAt))
    }

    /// How a replica is; `isGood`: it serves.
    private func state(_ replica: Replica) -> (mark: TreeNode.Mark, text: String, isGood: Bool) {
        let item = replica.item
        switch item.state {
        case .failed: return (.failing, item.status == "Error" ? "failed" : item.status, false)
        case .working:
            let word = item.status == "Renaming" ? "taking over" : item.status.lowercased()
            let isLeaving = ["stopping", "removing", "draining"].contains(word) && isReplaced(replica)
            let revision = look?.rollout.map { ", replaced by revision \($0.revision)" } ?? ", replaced"
            return (end == .running ? .moving : .waiting, word + (isLeaving ? revision : ""), false)
        case .waiting: return (end == .running ? .moving : .waiting, waitingText(item.status), false)
        case .warning: return (.finished, item.status.lowercased(), true)
        case .done: break
        }
        switch item.status {
        case "Removed", "Stopped", "Killed": return (.finished, item.status.lowercased(), false)
        case "Created":
            if end == .succeeded { return (.finished, "created", false) }
            return (.waiting, "created", false)
        default: break
        }
        guard let seen = seen(replica) else { return (.finished, item.status.lowercased(), true) }
        return state(seen, item)
    }

    private func state(_ seen: ContainerStatus, _ item: Item) -> (mark: TreeNode.Mark, text: String, isGood: Bool) {
        let note = seen.note.map { ": \(harmless($0))" } ?? ""
        switch (seen.state, seen.health) {
        case (.running, nil): return (.finished, item.status == "Healthy" ? "healthy" : "running", true)
        case (.running, .healthy?): return (.finished, "healthy", true)
        case (.running, .starting?):
            // The command has not waited for it.
            return end == .running ? (.moving, "health starting", false) : (.finished, "started, health starting", true)
        case (.running, .unhealthy?): return (.failing, "unhealthy", false)
        case (.exited, _):
            let code = seen.exitCode ?? 0
            return (code == 0 ? .finished : .failing, "exited (\(code))\(note)", code == 0)
        case (.restarting, _):
            return (.failing, "ended (\(seen.exitCode ?? 0)), restarted \(seen.restarts) times\(note)", false)
        case (.created, _): return (.waiting, "created\(note)", false)
        case (.paused, _), (.dead, _): return (.finished, seen.state.rawValue + note, false)
        }
    }

    /// What the engine said of it, unless something has happened since.
    private func seen(_ replica: Replica) -> ContainerStatus? {
        guard let look, look.askedAt >= replica.item.changedAt else { return nil }
        return look.containers[replica.name]
    }

    /// It goes because another one comes, and not because it is one too many.
    private func isReplaced(_ replica: Replica) -> Bool {
        let rollout = look?.rollout?.services.first { $0.service == replica.service }
        guard let wanted = stack?.services[replica.service]?.replicas ?? rollout?.replicas,
            let number = replica.number
        else { return false }
        let isLeaving = ["Stopping", "Stopped", "Removing", "Removed"].contains(replica.item.status)
        let hasSuccessor = replica.title.hasSuffix(Self.successorSuffix)
        return number <= wanted && (isLeaving || hasSuccessor)
    }

    private func waitingText(_ what: String) -> String {
        let what = what.hasPrefix("Waiting for ") ? String(what.dropFirst("Waiting for ".count)) : what
        switch what {
        case "its healthcheck": return "health starting"
        case "its start": return "starting"
        case "its first second to pass": return "just started"
        default: return "waiting for \(what)"
        }
    }

    // MARK: - Dependencies

    /// `waiting for db to be healthy`; `nil`: for nobody.
    private func waitReason(_ service: String) -> String? {
        guard end == .running, let dependencies = stack?.services[service]?.dependsOn else { return nil }
        let missing = dependencies.sorted { $0.key < $1.key }.compactMap { name, dependency -> String? in
            guard stack?.services[name] != nil, !isMet(name, dependency.condition) else { return nil }
            return switch dependency.condition {
            case .started: "\(name) to start"
            case .healthy: "\(name) to be healthy"
            case .completed: "\(name) to end"
            }
        }
        return missing.isEmpty ? nil : "waiting for " + missing.joined(separator: ", ")
    }

    private func isMet(_ service: String, _ condition: Dependency.Condition) -> Bool {
        let containers = look?.members[service] ?? []
        let own = names.compactMap { replicas[$0] }.filter { $0.service == service }
        // An event may be newer than what was seen.
        if own.contains(where: { $0.item.endedAt == nil }) { return false }
        switch condition {
        case .started:
            return containers.contains { [.running, .exited, .restarting].contains($0.state) }
                || own.contains { ["Started", "Running", "Healthy", "Exited"].contains($0.item.status) }
        case .healthy: return !containers.isEmpty && containers.allSatisfy { $0.health == .healthy }
        case .completed:
            return !containers.isEmpty && containers.allSatisfy { $0.state == .exited && $0.exitCode == 0 }
        }
    }

    // MARK: - Other objects

    private func node(_ object: Object, now: Int64) -> TreeNode {
        let item = object.item
        let mark: TreeNode.Mark =
            switch item.state {
            case .done, .warning: .finished
            case .failed: .failing
            case .working, .waiting: end == .running ? .moving : .waiting
            }
        let status = item.state == .failed ? "failed" : item.status.lowercased()
        return TreeNode(
            kind: .object, mark: mark, title: object.title, status: status,
            elapsed: max(0, (item.endedAt ?? now) - item.startedAt))
    }
}
