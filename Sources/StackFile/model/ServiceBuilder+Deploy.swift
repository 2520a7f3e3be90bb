import StackModel

extension ServiceBuilder {
    func deploy() -> Deploy? {
        guard let node = node["deploy"], node.mapping != nil else { return nil }
        var deploy = Deploy()
        deploy.mode = word(node["mode"], "mode")
        deploy.endpointMode = word(node["endpoint_mode"], "endpoint mode")
        deploy.labels = stringMap(node["labels"])
        deploy.update = updateConfig(node["update_config"])
        deploy.rollback = updateConfig(node["rollback_config"])
        deploy.placement = placement(node["placement"])
        return deploy
    }

    private func updateConfig(_ node: Node?) -> UpdateConfig? {
        guard let node, node.mapping != nil else { return nil }
        var config = UpdateConfig()
        config.parallelism = count(node["parallelism"], "parallelism")
        config.delay = duration(node["delay"])
        config.failureAction = word(node["failure_action"], "failure action")
        config.monitor = duration(node["monitor"])
        config.failureRatioMax = node["max_failure_ratio"]?.decimalNumber
        config.order = word(node["order"], "order")
        if let ratio = config.failureRatioMax, !(0...1).contains(ratio) {
            report.unusable(
                "stack.value", "'max_failure_ratio' must be 0 to 1, found \(node["max_failure_ratio"]?.text ?? "")",
                at: node["max_failure_ratio"]?.mark)
        }
        return config
    }

    private func placement(_ node: Node?) -> Deploy.Placement? {
        guard let node, node.mapping != nil else { return nil }
        var placement = Deploy.Placement()
        placement.constraints = node["constraints"]?.texts ?? []
        placement.spread = (node["preferences"]?.items ?? []).compactMap { $0["spread"]?.text }
        placement.replicasPerNodeMax = count(node["max_replicas_per_node"], "max_replicas_per_node")
        return placement
    }

    func reservations() -> Reservations? {
        guard let node = node.at("deploy", "resources", "reservations"), node.mapping != nil else { return nil }
        var reservations = Reservations()
        reservations.nanoCPUs = nanoCPUs(node["cpus"])
        reservations.genericResources = (node["generic_resources"]?.items ?? []).compactMap { item in
            guard let spec = item["discrete_resource_spec"], let kind = spec["kind"]?.text,
                let value = spec["value"]?.decimalNumber.flatMap({ Int64(exactly: $0) })
            else { return nil }
            return Reservations.GenericResource(kind: kind, value: value)
        }
        return reservations == Reservations() ? nil : reservations
    }

    /// `gpus`, which ask for the capability `gpu`, and reserved devices.
    func deviceRequests() -> [DeviceRequest] {
        let reserved = node.at("deploy", "resources", "reservations", "devices")?.items ?? []
        let gpus = (node["gpus"]?.items ?? []).map { item in
            var request = deviceRequest(item)
            if !request.capabilities.contains("gpu") { request.capabilities.append("gpu") }
            return request
        }
        return reserved.map(deviceRequest) + gpus
    }

    private func deviceRequest(_ node: Node) -> DeviceRequest {
        var request = DeviceRequest()
        request.capabilities = node["capabilities"]?.texts ?? []
        request.driver = node["driver"]?.text
        request.deviceIDs = node["device_ids"]?.texts ?? []
        request.options = stringMap(node["options"])
        request.count = node["count"]?.text == "all" ? -1 : node["count"]?.wholeNumber
        return request
    }

    func blockIO() -> BlockIO? {
        guard let node = node["blkio_config"], node.mapping != nil else { return nil }
        func rates(_ key: String) -> [BlockIO.Rate] {
            (node[key]?.items ?? []).compactMap { item in
                guard let path = item["path"]?.text, let rate = item["rate"]?.wholeNumber else { return nil }
                return BlockIO.Rate(path: path, rate: rate)
            }
        }
        var blockIO = BlockIO()
        blockIO.weight = node["weight"]?.wholeNumber
        blockIO.deviceWeights = (node["weight_device"]?.items ?? []).compactMap { item in
            guard let path = item["path"]?.text, let weight = item["weight"]?.wholeNumber else { return nil }
            return BlockIO.Weight(path: path, weight: weight)
        }
        blockIO.readBytes = rates("device_read_bps")
        blockIO.readOperations = rates("device_read_iops")
        blockIO.writeBytes = rates("device_write_bps")
        blockIO.writeOperations = rates("device_write_iops")
        return blockIO
    }

    func count(_ node: Node?, _ name: String) -> Int? {
        guard let node, let number = node.wholeNumber else { return nil }
        if number < 0 {
            report.unusable("stack.value", "'\(name)' must not be negative, found \(number)", at: node.mark)
        }
        return Int(clamping: number)
    }

    /// One of the words of an enumeration; another is reported.
    func word<Word: RawRepresentable & CaseIterable>(_ node: Node?, _ name: String) -> Word?
    where Word.RawValue == String {
        guard let node, let text = node.text, !text.isEmpty else { return nil }
        if let word = Word(rawValue: text) { return word }
        let known = Word.allCases.map(\.rawValue)
        report.unusable(
            "stack.value", "unknown \(name) '\(text)'", at: node.mark,
            hint: nearest(text, in: known).map { "did you mean '\($0)'?" } ?? "use \(known.joined(separator: ", "))")
        return nil
    }
}
