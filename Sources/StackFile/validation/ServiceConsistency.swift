import StackModel

/// The rules for one service, or for one job.
struct ServiceConsistency {
    /// `service` or `job`.
    let noun: String
    let name: String
    let service: Node
    let mark: SourceMark
    let whole: Consistency
    /// Nothing of it was left out because of an error, so that what is missing is missing.
    let isSound: Bool

    private var report: Report { whole.report }

    func check() {
        if isSound { checkImage() }
        checkBuild()
        checkWatch()
        checkReferences()
        checkNetworkMode()
        checkScale()
        checkTwins()
        checkMountTargets()
        checkHealth()
    }

    private func checkImage() {
        if service["image"]?.text?.isEmpty == false || service["build"] != nil || service["provider"] != nil { return }
        report.error(
            "stack.missing-key", "\(noun) '\(name)' has neither an image nor a build context", at: mark,
            hint: "add 'image:' or 'build:'")
    }

    private func checkBuild() {
        guard let build = service["build"], build.mapping != nil else { return }
        if build["dockerfile_inline"] != nil, let file = build["dockerfile"] {
            report.error(
                "stack.conflict", "\(noun) '\(name)' has both 'dockerfile' and 'dockerfile_inline'", at: file.mark,
                hint: "remove one of the two")
        }
        for entry in build["additional_contexts"]?.entries ?? [] {
            guard let text = entry.value.text, text.hasPrefix("service:") else { continue }
            let target = String(text.dropFirst("service:".count))
            reference(target, in: "services", "service", at: entry.value.mark)
            if let other = whole.document.at("services", target), other["build"] == nil {
                report.error(
                    "stack.reference", "service '\(target)' is not built, so it is no context of '\(name)'",
                    at: entry.value.mark, hint: "name its image: docker-image://\(other["image"]?.text ?? "IMAGE")")
            }
        }
        for secret in build["secrets"]?.items ?? [] {
            if let source = secret["source"], let text = source.text {
                reference(text, in: "secrets", "build secret", at: source.mark)
            }
        }
        let platforms = build["platforms"]?.texts ?? []
        if let platform = service["platform"], let text = platform.text, !platforms.isEmpty, !platforms.contains(text) {
            report.error(
                "stack.conflict", "'build.platforms' of \(noun) '\(name)' does not include its platform '\(text)'",
                at: platform.mark, hint: "add it there")
        }
    }

    private func checkWatch() {
        for rule in service.at("develop", "watch")?.items ?? [] {
            let action = rule["action"]?.text ?? ""
            if let path = rule["path"], path.text?.isEmpty == true {
                report.error("stack.value", "a watch rule of \(noun) '\(name)' watches an empty path", at: path.mark)
            }
            if ["rebuild", "restart"].contains(action) || rule["target"]?.text?.isEmpty == false { continue }
            report.error(
                "stack.missing-key", "the watch action '\(action)' of \(noun) '\(name)' needs the key 'target'",
                at: rule.mark, hint: "say where in the container the files go")
        }
    }

    private func checkReferences() {
        for entry in service["networks"]?.entries ?? [] where entry.key != "default" {
            reference(entry.key, in: "networks", "network", at: entry.keyMark)
        }
        for mount in service["volumes"]?.items ?? [] where mount["type"]?.text == "volume" {
            guard let source = mount["source"], let text = source.text else { continue }
            reference(text, in: "volumes", "volume", at: source.mark)
        }
        for (kind, noun) in [("configs", "config"), ("secrets", "secret")] {
            for mount in service[kind]?.items ?? [] {
                guard let source = mount["source"], let text = source.text else {
                    report.error("stack.missing-key", "a \(noun) needs the key 'source'", at: mount.mark)
                    continue
                }
                reference(text, in: kind, noun, at: source.mark)
            }
        }
        for entry in service["models"]?.entries ?? [] { reference(entry.key, in: "models", "model", at: entry.keyMark) }
        for entry in service["depends_on"]?.entries ?? [] { checkDependency(entry) }
    }

    private func checkDependency(_ entry: Mapping.Entry) {
        if let other = whole.document.at("services", entry.key) {
            guard other.at("x-gantry", "schedule") != nil, entry.value["required"]?.flag != false else { return }
            return report.error(
                "stack.conflict", "\(noun) '\(name)' depends on '\(entry.key)', which is started by the clock",
                at: entry.keyMark, hint: "take 'schedule' out of '\(entry.key)', or do not depend on it")
        }
        guard whole.disabled.contains(entry.key) else {
            return reference(entry.key, in: "services", "service", at: entry.keyMark)
        }
        if entry.value["required"]?.flag == false { return }
        report.error(
            "stack.reference", "\(noun) '\(name)' depends on '\(entry.key)', which no active profile enables",
            at: entry.keyMark, hint: "activate its profile, or say 'required: false'")
    }

    private func reference(_ key: String, in kind: String, _ target: String, at mark: SourceMark) {
        if whole.document.at(kind, key) != nil || !whole.isWhole(kind) { return }
        let known = whole.names(kind)
        let suggestion = nearest(key, in: known).map { "did you mean '\($0)'?" }
        let declare = kind == "services" ? nil : "declare it under the top-level '\(kind):'"
        report.error(
            "stack.reference", "\(noun) '\(name)' refers to undefined \(target) '\(key)'", at: mark,
            hint: suggestion ?? declare)
    }

    private func checkNetworkMode() {
        guard let node = service["network_mode"], let mode = node.text, !mode.isEmpty else { return }
        if service["networks"] != nil, mode != "bridge", mode != "default" {
            report.error(
                "stack.conflict", "\(noun) '\(name)' has both 'network_mode' and 'networks'",
                at: service.mapping?.keyMark("networks"), hint: "remove one of the two",
                notes: [.init("'network_mode' is given here", at: node.mark)])
        }
        let known = ["none", "host", "bridge", "default"]
        guard !known.contains(mode), !mode.hasPrefix("service:"), !mode.hasPrefix("container:") else { return }
        report.warning(
            "stack.ignored-key", "network mode '\(mode)' is known, but this engine joins networks by 'networks:' only",
            at: node.mark,
            hint: nearest(mode, in: known).map { "did you mean '\($0)'?" }
                ?? "list it under 'networks:', with 'external: true' where it is declared")
    }

    private func checkScale() {
        let deployed = service.at("deploy", "replicas")
        if let scale = service["scale"], let replicas = deployed, scale.wholeNumber != replicas.wholeNumber {
            report.error(
                "stack.conflict", "'scale' and 'deploy.replicas' of \(noun) '\(name)' differ", at: scale.mark,
                hint: "keep one of the two", notes: [.init("the other number", at: replicas.mark)])
        }
        guard let node = deployed ?? service["scale"], let count = node.wholeNumber else { return }
        if count < 0 || count > Self.replicasMax {
            report.error("stack.value", "the number of replicas must be 0 to \(Self.replicasMax)", at: node.mark)
        } else if count > 1, let fixed = service["container_name"] {
            report.error(
                "stack.conflict", "\(noun) '\(name)' has \(count) replicas but one 'container_name'", at: fixed.mark,
                hint: "remove 'container_name', or run one replica")
        }
    }

    /// Replicas of one service.
    static let replicasMax: Int64 = 10_000

    private func checkTwins() {
        let twins: [(String, [String])] = [
            ("cpus", ["limits", "cpus"]), ("mem_limit", ["limits", "memory"]),
            ("mem_reservation", ["reservations", "memory"]), ("pids_limit", ["limits", "pids"]),
        ]
        for (key, path) in twins {
            guard let own = service[key], let deployed = service.at("deploy", "resources", path[0], path[1]),
                own.text != deployed.text
            else { continue }
            report.error(
                "stack.conflict",
                "'\(key)' and 'deploy.resources.\(path.joined(separator: "."))' of \(noun) '\(name)' differ",
                at: own.mark, hint: "keep one of the two", notes: [.init("the other value", at: deployed.mark)])
        }
    }

    private func checkMountTargets() {
        var seen: [String: SourceMark] = [:]
        let tmpfs = (service["tmpfs"]?.items ?? []).map { item in
            (item.text?.split(separator: ":").first.map(String.init), item.mark)
        }
        let volumes = (service["volumes"]?.items ?? []).map { ($0["target"]?.text, $0["target"]?.mark ?? $0.mark) }
        for (target, mark) in volumes + tmpfs {
            guard let target, !target.isEmpty else {
                report.unusable("stack.missing-key", "a mount needs the key 'target'", at: mark)
                continue
            }
            if !target.hasPrefix("/"), !isWindowsPath(target) {
                report.unusable(
                    "stack.value", "mount target '\(target)' must be an absolute path", at: mark,
                    hint: "start it with '/'")
            } else if let first = seen.updateValue(mark, forKey: target) {
                let (earlier, later) = inOrder(first, mark)
                report.error(
                    "stack.conflict", "\(noun) '\(name)' mounts twice on '\(target)'", at: later,
                    hint: "remove one of the two", notes: [.init("first mounted here", at: earlier)])
            }
        }
    }

    private func checkHealth() {
        guard let health = service["healthcheck"] else { return }
        if let first = health["test"]?.items?.first, !["NONE", "CMD", "CMD-SHELL"].contains(first.text) {
            let text = first.text ?? ""
            report.error(
                "stack.value",
                "'\(noun)s.\(name).healthcheck.test' must start with NONE, CMD or CMD-SHELL, found '\(text)'",
                at: first.mark, hint: "write [\"CMD\", \"\(text)\", …], or a string for a shell command")
        }
        if health["start_interval"] != nil, health["start_period"] == nil {
            report.error(
                "stack.missing-key", "'start_interval' needs 'start_period' beside it",
                at: health.mapping?.keyMark("start_interval"))
        }
    }
}
