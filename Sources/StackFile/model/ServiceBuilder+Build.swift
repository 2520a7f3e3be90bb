import StackModel

extension ServiceBuilder {
    func build(_ node: Node?) -> Build? {
        guard let node, node.mapping != nil else { return nil }
        var build = Build(context: node["context"]?.text ?? ".")
        build.dockerfile = node["dockerfile"]?.text
        build.dockerfileInline = node["dockerfile_inline"]?.text
        build.additionalContexts = stringMap(node["additional_contexts"])
        build.arguments = optionalStrings(node["args"])
        build.ssh = (node["ssh"]?.entries ?? []).map { entry in
            entry.value.text.map { "\(entry.key)=\($0)" } ?? entry.key
        }
        build.labels = stringMap(node["labels"])
        build.cacheFrom = node["cache_from"]?.texts ?? []
        build.cacheTo = node["cache_to"]?.texts ?? []
        build.noCache = node["no_cache"]?.flag ?? false
        build.noCacheFilter = node["no_cache_filter"]?.texts ?? []
        build.pull = node["pull"]?.flag ?? false
        build.target = node["target"]?.text
        build.network = node["network"]?.text
        build.isolation = node["isolation"]?.text
        build.privileged = node["privileged"]?.flag ?? false
        build.entitlements = node["entitlements"]?.texts ?? []
        build.extraHosts = extraHosts(node["extra_hosts"])
        build.secrets = fileMounts(node["secrets"], folder: "/run/secrets/")
        build.shmSize = node["shm_size"]?.wholeNumber
        build.tags = node["tags"]?.texts ?? []
        build.platforms = node["platforms"]?.texts ?? []
        build.ulimits = ulimits(node["ulimits"])
        build.provenance = node["provenance"]?.text
        build.sbom = node["sbom"]?.text
        return build
    }

    /// `always`, `never`, `missing`, `if_not_present`, `build`, `refresh`, `daily`, `weekly`, `every_DURATION`.
    func pullPolicy() -> PullPolicy? {
        guard let node = node["pull_policy"], let text = node.text else { return nil }
        let day: Int64 = 86_400_000_000_000
        switch text {
        case "always": return PullPolicy(mode: .always)
        case "never": return PullPolicy(mode: .never)
        case "missing", "if_not_present": return PullPolicy(mode: .missing)
        case "build": return PullPolicy(mode: .build)
        case "refresh":
            return PullPolicy(mode: .refresh, refreshAfter: duration(self.node["pull_refresh_after"]))
        case "daily": return PullPolicy(mode: .refresh, refreshAfter: day)
        case "weekly": return PullPolicy(mode: .refresh, refreshAfter: 7 * day)
        default:
            guard text.hasPrefix("every_"), let every = parseDuration(String(text.dropFirst("every_".count))) else {
                let known = ["always", "never", "missing", "if_not_present", "build", "daily", "weekly"]
                report.error(
                    "stack.value", "unknown pull policy '\(text)'", at: node.mark,
                    hint: nearest(text, in: known).map { "did you mean '\($0)'?" }
                        ?? "use always, never, missing, build, daily, weekly or every_<duration>")
                return nil
            }
            return PullPolicy(mode: .refresh, refreshAfter: every)
        }
    }

    func develop() -> Develop? {
        guard let node = node["develop"], node.mapping != nil else { return nil }
        var develop = Develop()
        develop.watch = (node["watch"]?.items ?? []).compactMap { item in
            guard let path = item["path"]?.text,
                let action = item["action"]?.text.flatMap(Develop.Watch.Action.init(rawValue:))
            else { return nil }
            var watch = Develop.Watch(path: path, action: action)
            watch.target = item["target"]?.text
            watch.include = item["include"]?.texts ?? []
            watch.ignore = item["ignore"]?.texts ?? []
            watch.exec = item["exec"].map(hook)
            watch.initialSync = item["initial_sync"]?.flag ?? false
            return watch
        }
        return develop
    }

    func hooks(_ key: String) -> [Hook] { (node[key]?.items ?? []).map(hook) }

    private func hook(_ node: Node) -> Hook {
        var hook = Hook(command: node["command"]?.texts ?? [])
        hook.user = node["user"]?.text
        hook.privileged = node["privileged"]?.flag ?? false
        hook.workingDirectory = node["working_dir"]?.text
        hook.environment = optionalStrings(node["environment"])
        hook.image = node["image"]?.text
        hook.perReplica = node["per_replica"]?.flag ?? false
        return hook
    }

    /// A map whose values may be missing.
    func optionalStrings(_ node: Node?) -> [String: String?] {
        var result: [String: String?] = [:]
        for entry in node?.entries ?? [] where !entry.key.isEmpty {
            result.updateValue(entry.value.text, forKey: entry.key)
        }
        return result
    }

    func provider() -> Provider? {
        guard let node = node["provider"], let type = node["type"]?.text else { return nil }
        report.unusable(
            "stack.unsupported", "service '\(name)' comes from the provider '\(type)', which this engine cannot run",
            at: node.mark, hint: "leave the service out, or give it a profile of its own")
        var provider = Provider(type: type)
        for entry in node["options"]?.entries ?? [] {
            provider.options[entry.key] = entry.value.items == nil ? [entry.value.text ?? ""] : entry.value.texts
        }
        return provider
    }
}
