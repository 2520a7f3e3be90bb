import FileWatch
import StackModel

/// What a batch of changes asks for. Pure.
struct WatchActions: Equatable {
    /// Files for a service's containers.
    struct Sync: Equatable {
        var service: String
        /// Before anything is copied.
        var removals: [PathMapping] = []
        var copies: [PathMapping] = []

        /// How many paths it is about.
        var count: Int { Set((removals + copies).map(\.host)).count }
        var isEmpty: Bool { removals.isEmpty && copies.isEmpty }
    }

    /// A command for a service's containers.
    struct Command: Equatable {
        var service: String
        var hook: Hook
    }

    var rebuilds: [String] = []
    var syncs: [Sync] = []
    var restarts: [String] = []
    /// Each rule's command once, however many of its files have changed.
    var commands: [Command] = []

    /// Services in the order of their names, rules in the order of the file.
    init(_ changes: FileChanges, _ rules: [WatchRule]) {
        var syncs: [String: Sync] = [:]
        var (rebuilds, restarts): (Set<String>, Set<String>) = ([], [])
        for rule in rules {
            let changed = changes.changed.filter(rule.scope.includes)
            // Only now: another rule may count the folder of what this one counts.
            let removed = topmost(of: changes.removed.filter(rule.scope.includes))
            guard !changed.isEmpty || !removed.isEmpty else { continue }
            if rule.copies {
                let (copies, removals) = (changed.compactMap(rule.mapping), removed.compactMap(rule.mapping))
                // All of it is in a bind mount.
                if copies.isEmpty, removals.isEmpty { continue }
                syncs[rule.service, default: Sync(service: rule.service)].merge(removals, copies)
            }
            switch rule.definition.action {
            case .rebuild: rebuilds.insert(rule.service)
            case .restart, .syncRestart: restarts.insert(rule.service)
            case .syncExec:
                if let hook = rule.definition.exec { commands.append(Command(service: rule.service, hook: hook)) }
            case .sync: break
            }
        }
        self.rebuilds = rebuilds.sorted()
        self.restarts = restarts.sorted()
        self.syncs = syncs.values.map(\.withoutNeedlessRemovals).sorted { $0.service < $1.service }
    }
}

extension WatchActions.Sync {
    /// What goes with its folder, by another rule, is not removed once more.
    fileprivate var withoutNeedlessRemovals: Self {
        let tops = Set(topmost(of: removals.map(\.container)))
        var sync = self
        sync.removals.removeAll { !tops.contains($0.container) }
        return sync
    }

    /// Two rules may copy to one place: the later one counts. What one removes and another copies, stays.
    fileprivate mutating func merge(_ removals: [PathMapping], _ copies: [PathMapping]) {
        let places = Set(copies.map(\.container))
        self.copies.removeAll { places.contains($0.container) }
        self.copies += copies
        let known = Set(self.removals)
        self.removals += removals.filter { !known.contains($0) }
    }
}
