import StackModel

/// Turns a normalised service into the typed one. What cannot be represented is reported at its place.
struct ServiceBuilder {
    let name: String
    /// The stack's name, for the name of an image that is built.
    let project: String
    let node: Node
    let report: Report

    func build() -> Service {
        let derived = node["build"]?.mapping == nil ? "" : "\(project)-\(name)"
        var service = Service(image: text("image") ?? derived)
        fillProcess(&service)
        fillSwitches(&service)
        fillWorld(&service)
        fillLifecycle(&service)
        fillImage(&service)
        fillConfinement(&service)
        service.resources = resources()
        service.reservations = reservations()
        service.deviceRequests = deviceRequests()
        checkSchedule(service)
        return service
    }

    private func fillProcess(_ service: inout Service) {
        service.command = node["command"]?.items == nil ? nil : node["command"]?.texts
        service.entrypoint = node["entrypoint"]?.items == nil ? nil : node["entrypoint"]?.texts
        service.environment = optionalStrings(node["environment"])
        service.user = text("user")
        service.groupAdd = node["group_add"]?.texts ?? []
        service.workingDirectory = text("working_dir")
        service.hostname = text("hostname")
        service.domainname = text("domainname")
        service.containerName = text("container_name")
        service.labels = stringMap(node["labels"])
        service.pidMode = text("pid")
        service.ipcMode = text("ipc")
        service.sysctls = stringMap(node["sysctls"])
        service.oomScoreAdjust = number("oom_score_adj", in: -1000...1000).map(Int.init)
        service.ulimits = ulimits(node["ulimits"])
        service.profiles = node["profiles"]?.texts ?? []
    }

    private func fillSwitches(_ service: inout Service) {
        service.initProcess = node["init"]?.flag
        service.readOnly = node["read_only"]?.flag ?? false
        service.privileged = node["privileged"]?.flag ?? false
        service.tty = node["tty"]?.flag ?? false
        service.stdinOpen = node["stdin_open"]?.flag ?? false
        service.capAdd = node["cap_add"]?.texts ?? []
        service.capDrop = node["cap_drop"]?.texts ?? []
        service.securityOptions = node["security_opt"]?.texts ?? []
    }

    private func fillWorld(_ service: inout Service) {
        service.ports = ports()
        service.mounts = mounts()
        service.networks = networks()
        service.networkMode = networkMode()
        service.volumesFrom = node["volumes_from"]?.texts ?? []
        service.configs = fileMounts(node["configs"], folder: "/")
        service.secrets = fileMounts(node["secrets"], folder: "/run/secrets/")
        service.extraHosts = extraHosts(node["extra_hosts"])
        service.expose = node["expose"]?.texts ?? []
        service.links = node["links"]?.texts ?? []
        service.externalLinks = node["external_links"]?.texts ?? []
        for entry in node["models"]?.entries ?? [] {
            var binding = ModelBinding()
            binding.endpointVariable = entry.value["endpoint_var"]?.text
            binding.modelVariable = entry.value["model_var"]?.text
            service.models[entry.key] = binding
        }
        for (key, path) in [("dns", \Service.dns), ("dns_search", \.dnsSearch), ("dns_opt", \.dnsOptions)] {
            service[keyPath: path] = node[key]?.texts ?? []
        }
        for server in node["dns"]?.items ?? [] { checkAddress(server, report) }
        service.devices = (node["devices"]?.items ?? []).compactMap(device)
    }

    private func fillImage(_ service: inout Service) {
        service.build = build(node["build"])
        service.pullPolicy = pullPolicy()
        service.platform = text("platform")
        service.provider = provider()
        service.develop = develop()
        service.gantry = gantryOptions()
        service.annotations = stringMap(node["annotations"])
        service.attach = node["attach"]?.flag
        if let logging = node["logging"], logging.mapping != nil {
            service.logging = Logging(driver: logging["driver"]?.text)
            service.logging?.options = stringMap(logging["options"])
        }
    }

    private func fillConfinement(_ service: inout Service) {
        service.usernsMode = text("userns_mode")
        service.utsMode = text("uts")
        service.cgroupMode = text("cgroup")
        service.cgroupParent = text("cgroup_parent")
        service.runtime = text("runtime")
        service.isolation = text("isolation")
        service.deviceCgroupRules = node["device_cgroup_rules"]?.texts ?? []
        service.storageOptions = stringMap(node["storage_opt"])
        service.useAPISocket = node["use_api_socket"]?.flag ?? false
        service.oomKillDisable = node["oom_kill_disable"]?.flag
        if let spec = node["credential_spec"], spec.mapping != nil {
            var credentials = CredentialSpec()
            credentials.config = spec["config"]?.text
            credentials.file = spec["file"]?.text
            credentials.registry = spec["registry"]?.text
            service.credentialSpec = credentials
        }
    }

    private func fillLifecycle(_ service: inout Service) {
        service.deploy = deploy()
        service.preStart = hooks("pre_start")
        service.postStart = hooks("post_start")
        service.preStop = hooks("pre_stop")
        for entry in node["depends_on"]?.entries ?? [] {
            service.dependsOn[entry.key] = dependency(entry.value)
        }
        service.healthcheck = healthcheck()
        service.replicas = Int(clamping: (node.at("deploy", "replicas") ?? node["scale"])?.wholeNumber ?? 1)
        service.restart = restart()
        service.stopSignal = signal(node["stop_signal"])
        service.stopGracePeriod = duration(node["stop_grace_period"])
        service.shmSize = node["shm_size"]?.wholeNumber
    }

    func text(_ key: String) -> String? { node[key]?.text.flatMap { $0.isEmpty ? nil : $0 } }

    func signal(_ node: Node?) -> String? {
        guard let node, let text = node.text, !text.isEmpty else { return nil }
        guard SignalName.number(of: text) != nil else {
            report.error(
                "stack.value", "no such signal: '\(text.prefix(60))'", at: node.mark, hint: SignalName.hint(for: text))
            return nil
        }
        return text
    }

    func duration(_ node: Node?) -> Int64? { node?.text.flatMap(parseDuration) }

    private func number(_ key: String, in range: ClosedRange<Int64>) -> Int64? {
        guard let value = node[key], let number = value.wholeNumber else { return nil }
        guard range.contains(number) else {
            report.unusable(
                "stack.value", "'\(key)' must be \(range.lowerBound) to \(range.upperBound), found \(number)",
                at: value.mark)
            return nil
        }
        return number
    }

    func ulimits(_ node: Node?) -> [String: Ulimit] {
        var result: [String: Ulimit] = [:]
        for entry in node?.entries ?? [] {
            if let both = entry.value.wholeNumber {
                result[entry.key] = Ulimit(soft: both, hard: both)
            } else if let soft = entry.value["soft"]?.wholeNumber, let hard = entry.value["hard"]?.wholeNumber {
                result[entry.key] = Ulimit(soft: soft, hard: hard)
                if hard >= 0, soft > hard || soft < 0 {
                    report.unusable(
                        "stack.value", "the soft limit of '\(entry.key)' is above the hard one", at: entry.keyMark)
                }
            }
        }
        return result
    }

    private func dependency(_ node: Node) -> Dependency {
        let condition = node["condition"]?.text ?? Dependency.Condition.started.rawValue
        if Dependency.Condition(rawValue: condition) == nil {
            let known = ["service_started", "service_healthy", "service_completed_successfully"]
            report.error(
                "stack.value", "unknown condition '\(condition)'", at: node["condition"]?.mark ?? node.mark,
                hint: (known.first { $0 == "service_" + condition } ?? nearest(condition, in: known))
                    .map { "did you mean '\($0)'?" }
                    ?? "use service_started, service_healthy or service_completed_successfully")
        }
        return Dependency(
            condition: Dependency.Condition(rawValue: condition) ?? .started,
            restart: node["restart"]?.flag ?? false, required: node["required"]?.flag ?? true)
    }

    private func healthcheck() -> Healthcheck? {
        guard let node = node["healthcheck"], node.mapping != nil else { return nil }
        var check = Healthcheck()
        check.test = node["test"]?.texts.isEmpty == false ? node["test"]?.texts : nil
        if node["disable"]?.flag == true { check.test = ["NONE"] }
        check.interval = duration(node["interval"])
        check.timeout = duration(node["timeout"])
        check.retries = node["retries"]?.wholeNumber.map { Int(clamping: $0) }
        check.startPeriod = duration(node["start_period"])
        check.startInterval = duration(node["start_interval"])
        return check
    }
}
