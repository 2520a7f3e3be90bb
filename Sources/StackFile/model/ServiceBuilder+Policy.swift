import StackModel

extension ServiceBuilder {
    /// `deploy.restart_policy`, else `restart`.
    func restart() -> RestartPolicy {
        var simple = RestartPolicy(mode: .no)
        if let value = node["restart"], let text = value.text, !text.isEmpty { simple = restart(text, value) }
        guard let policy = node.at("deploy", "restart_policy"), policy.mapping != nil else { return simple }
        var restart = mode(of: policy)
        restart.delay = duration(policy["delay"])
        restart.window = duration(policy["window"])
        return restart
    }

    private func mode(of policy: Node) -> RestartPolicy {
        let attempts = policy["max_attempts"]?.wholeNumber.map { Int(clamping: $0) }
        switch policy["condition"]?.text ?? "any" {
        case "any", "always": return RestartPolicy(mode: .always)
        case "on-failure": return RestartPolicy(mode: .onFailure, attemptsMax: attempts)
        case "none", "no": return RestartPolicy(mode: .no)
        case "unless-stopped": return RestartPolicy(mode: .unlessStopped)
        case let other:
            report.unusable(
                "stack.value", "unknown restart condition '\(other)'", at: policy["condition"]?.mark,
                hint: "use none, on-failure or any")
            return RestartPolicy(mode: .no)
        }
    }

    private func restart(_ text: String, _ value: Node) -> RestartPolicy {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let known = ["no", "always", "on-failure", "unless-stopped"]
        guard let mode = RestartPolicy.Mode(rawValue: parts[0]) else {
            report.unusable(
                "stack.value", "unknown restart policy '\(text)'", at: value.mark,
                hint: nearest(text, in: known).map { "did you mean '\($0)'?" }
                    ?? "use no, always, on-failure[:N] or unless-stopped")
            return RestartPolicy(mode: .no)
        }
        if parts.count == 1 { return RestartPolicy(mode: mode) }
        guard mode == .onFailure, let attempts = Int(parts[1]), attempts >= 0 else {
            report.unusable(
                "stack.value", "restart policy '\(text)' takes no such number of attempts", at: value.mark,
                hint: "write on-failure:N")
            return RestartPolicy(mode: mode)
        }
        return RestartPolicy(mode: mode, attemptsMax: attempts == 0 ? nil : attempts)
    }

    func resources() -> Resources {
        let limits = node.at("deploy", "resources", "limits")
        var resources = Resources()
        resources.memory = positive(limits?["memory"] ?? node["mem_limit"])
        resources.memoryReservation = positive(
            node.at("deploy", "resources", "reservations", "memory") ?? node["mem_reservation"])
        resources.memorySwap = node["memswap_limit"]?.wholeNumber.flatMap { $0 == 0 ? nil : $0 }
        resources.nanoCPUs = nanoCPUs(limits?["cpus"] ?? node["cpus"])
        resources.cpuShares = positive(node["cpu_shares"])
        resources.cpuset = text("cpuset")
        resources.cpuQuota = positive(node["cpu_quota"])
        resources.cpuPeriod = node["cpu_period"]?.wholeNumber
        resources.cpuRealtimePeriod = node["cpu_rt_period"]?.wholeNumber
        resources.cpuRealtimeRuntime = node["cpu_rt_runtime"]?.wholeNumber
        resources.cpuCount = positive(node["cpu_count"])
        resources.cpuPercent = node["cpu_percent"]?.decimalNumber
        resources.memorySwappiness = positive(node["mem_swappiness"])
        resources.blockIO = blockIO()
        let pids = (limits?["pids"] ?? node["pids_limit"])?.wholeNumber
        resources.pids = pids == 0 ? nil : pids
        if let swap = resources.memorySwap, swap > 0, let memory = resources.memory, swap < memory {
            report.unusable(
                "stack.value",
                "'memswap_limit' counts memory and swap together, so it cannot be below the memory limit",
                at: node["memswap_limit"]?.mark)
        }
        return resources
    }

    /// Zero stands for "no limit" in Docker's interface.
    private func positive(_ node: Node?) -> Int64? { node?.wholeNumber.flatMap { $0 > 0 ? $0 : nil } }

    func nanoCPUs(_ node: Node?) -> Int64? {
        guard let node, let count = node.decimalNumber, count != 0 else { return nil }
        guard count > 0, let billionths = Int64(exactly: (count * 1e9).rounded()) else {
            report.unusable("stack.value", "'cpus' must be a positive number, found \(node.text ?? "")", at: node.mark)
            return nil
        }
        return billionths
    }
}
