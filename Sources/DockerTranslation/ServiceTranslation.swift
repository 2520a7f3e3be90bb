import JSONDocument
import StackModel

extension Service {
    private static let nanosecondsPerSecond: Int64 = 1_000_000_000

    /// The service that a request describes. What would have no effect is refused, with the field's name.
    ///
    /// - Parameter exposed: ports that the image exposes, as `80/tcp`.
    public init(_ request: ContainerRequest, exposed: [String]) throws(TranslationError) {
        guard let image = try request.image else {
            throw TranslationError("invalid reference format: no image is named")
        }
        self.init(image: image)
        try refuseUnsupported(request.hostFields)
        try readProcess(request.configFields)
        try readIdentity(request)
        mounts = try DockerTranslation.mounts(request)
        // Without a volume, its driver is asked for nothing.
        if let driver = try request.hostFields.text("VolumeDriver"), driver != "local",
            mounts.contains(where: { $0.kind == .volume })
        {
            throw request.hostFields.refuse("VolumeDriver", "there is no volume driver '\(driver)'; use local")
        }
        ports = try publishedPorts(request, exposed: exposed)
        expose = try request.configFields.names("ExposedPorts")
        try readConfinement(request.hostFields)
        resources = try Resources(docker: request.hostFields)
        try readLimits(request.hostFields)
        try readPolicy(request.hostFields)
        try readNames(request.hostFields)
        try readModes(request)
    }

    /// What neither this runtime nor its network can do.
    private func refuseUnsupported(_ host: Fields) throws(TranslationError) {
        for request in try host.objects("DeviceRequests") {
            let driver = try request.text("Driver") ?? ""
            throw TranslationError(
                "HostConfig.DeviceRequests: could not select device driver \"\(driver)\": devices are given by path")
        }
        for name in try host.map("StorageOpt").keys.sorted() {
            throw TranslationError("HostConfig.StorageOpt: '\(name)' cannot be set here")
        }
        if let isolation = try host.text("Isolation"), isolation != "default" {
            throw host.refuse("Isolation", "invalid isolation '\(isolation)' on linux")
        }
        if let runtime = try host.text("Runtime"), !Self.runtimes.contains(runtime) {
            throw TranslationError("HostConfig.Runtime: unknown or invalid runtime name: \(runtime)")
        }
        if try host.text("UsernsMode").map({ $0 != "host" }) ?? false {
            throw host.refuse("UsernsMode", "invalid user namespace mode: only host is known")
        }
        if try host.text("IpcMode") == "none" { throw host.refuse("IpcMode", "'none' cannot be done here") }
    }

    private static let runtimes: Set<String> = ["runc", "io.containerd.runc.v2", "gantry", "gantry-oci"]

    private mutating func readProcess(_ config: Fields) throws(TranslationError) {
        // `[""]` is how the command line takes an image's entrypoint away.
        entrypoint = try config.list("Entrypoint").flatMap { $0.isEmpty ? nil : $0 == [""] ? [] : $0 }
        command = try config.list("Cmd").flatMap { $0.isEmpty ? nil : $0 }
        for line in try config.texts("Env") {
            guard let equals = line.firstIndex(of: "=") else {
                guard !line.isEmpty else { throw config.refuse("Env", "invalid environment variable: \(line)") }
                environment[line] = .some(nil)
                continue
            }
            guard equals != line.startIndex else { throw config.refuse("Env", "invalid environment variable: \(line)") }
            environment[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
        user = try config.text("User")
        workingDirectory = try config.text("WorkingDir")
        if let folder = workingDirectory, !folder.hasPrefix("/") {
            throw TranslationError("the working directory '\(folder)' is invalid, it needs to be an absolute path")
        }
        tty = try config.isSet("Tty")
        stdinOpen = try config.isSet("OpenStdin")
        healthcheck = try config.object("Healthcheck").map { (fields) throws(TranslationError) in
            try Healthcheck(docker: fields)
        }
        stopSignal = try config.text("StopSignal")
        if let seconds = try config.number("StopTimeout") {
            stopGracePeriod =
                seconds < 0 ? .max / 4 : seconds.multipliedReportingOverflow(by: Self.nanosecondsPerSecond).partialValue
        }
    }

    private mutating func readIdentity(_ request: ContainerRequest) throws(TranslationError) {
        let config = request.configFields
        hostname = try config.text("Hostname")
        domainname = try config.text("Domainname")
        labels = try config.map("Labels")
        annotations = try request.hostFields.map("Annotations")
        platform = request.platform
        if let fields = try request.hostFields.object("LogConfig") {
            let driver = try fields.text("Type")
            guard ["json-file", "local", "none", nil].contains(driver) else {
                // In Docker's words, which clients look for.
                throw TranslationError("logger: no log driver named '\(driver ?? "")' is registered")
            }
            logging = Logging(driver: driver)
            logging?.options = try fields.map("Config")
        }
    }

    private mutating func readConfinement(_ host: Fields) throws(TranslationError) {
        privileged = try host.isSet("Privileged")
        capAdd = try host.texts("CapAdd")
        capDrop = try host.texts("CapDrop")
        securityOptions = try host.texts("SecurityOpt")
        readOnly = try host.isSet("ReadonlyRootfs")
        groupAdd = try host.texts("GroupAdd")
        sysctls = try host.map("Sysctls")
        initProcess = try host.flag("Init")
        cgroupParent = try host.text("CgroupParent")
        runtime = try host.text("Runtime")
        for device in try host.objects("Devices") {
            guard let path = try device.text("PathOnHost") else { throw device.refuse("PathOnHost", "is missing") }
            let target = try device.text("PathInContainer") ?? path
            devices.append("\(path):\(target):\(try device.text("CgroupPermissions") ?? "rwm")")
        }
        deviceCgroupRules = try host.texts("DeviceCgroupRules")
    }

    private mutating func readLimits(_ host: Fields) throws(TranslationError) {
        shmSize = try host.amount("ShmSize")
        if let size = shmSize, size < 0 { throw TranslationError("SHM size can not be less than 0") }
        oomScoreAdjust = try host.amount("OomScoreAdj").map { Int(clamping: $0) }
        oomKillDisable = try host.flag("OomKillDisable")
        if let score = oomScoreAdjust, !(-1000...1000).contains(score) {
            throw TranslationError("Invalid value \(score), range for oom score adj is [-1000, 1000]")
        }
        for limit in try host.objects("Ulimits") {
            guard let name = try limit.text("Name") else { throw limit.refuse("Name", "is missing") }
            let soft = try limit.number("Soft") ?? 0
            ulimits[name.lowercased()] = Ulimit(soft: soft, hard: try limit.number("Hard") ?? soft)
        }
    }

    private mutating func readPolicy(_ host: Fields) throws(TranslationError) {
        guard let fields = try host.object("RestartPolicy") else { return }
        restart = try RestartPolicy(docker: fields)
        if restart.mode != .no, try host.isSet("AutoRemove") {
            throw TranslationError("can't create 'AutoRemove' container with restart policy")
        }
    }

    private mutating func readNames(_ host: Fields) throws(TranslationError) {
        dns = try host.texts("Dns")
        dnsSearch = try host.texts("DnsSearch")
        dnsOptions = try host.texts("DnsOptions")
        for text in try host.texts("ExtraHosts") {
            guard let cut = text.firstIndex(where: { $0 == ":" || $0 == "=" }), cut != text.startIndex else {
                throw TranslationError("HostConfig.ExtraHosts: bad format for add-host: \"\(text)\"")
            }
            var address = String(text[text.index(after: cut)...])
            if address.hasPrefix("["), address.hasSuffix("]") { address = String(address.dropFirst().dropLast()) }
            extraHosts.append(ExtraHost(name: String(text[..<cut]), address: address))
        }
        externalLinks = try host.texts("Links")
    }

    private mutating func readModes(_ request: ContainerRequest) throws(TranslationError) {
        let host = request.hostFields
        pidMode = try mode(host, "PidMode", ["host"])
        ipcMode = try mode(host, "IpcMode", ["host", "private", "shareable"])
        if ipcMode == "private" || ipcMode == "shareable" { ipcMode = nil }
        utsMode = try mode(host, "UTSMode", ["host"], others: false)
        cgroupMode = try mode(host, "CgroupnsMode", ["host", "private"], others: false)
        if utsMode == "host", hostname != nil {
            throw TranslationError("conflicting options: hostname and the UTS mode")
        }
        switch try NetworkMode(host) {
        case .host: networkMode = "host"
        case .none: networkMode = "none"
        case .container(let name): networkMode = "container:\(name)"
        case .attached: break
        }
        try refuseConflicts(request)
        // The host's own ports are open as they are.
        if networkMode == "host" { ports = [] }
    }

    /// What says something of a network that is not the container's own, in Docker's words and order.
    private func refuseConflicts(_ request: ContainerRequest) throws(TranslationError) {
        let isShared = networkMode?.hasPrefix("container:") == true
        let undefined = "can't be used with links. This would result in undefined behavior"
        if isShared {
            for (isSaid, what) in [
                (hostname != nil, "hostname and the network mode"),
                (!externalLinks.isEmpty, "container type network \(undefined)"),
                (!dns.isEmpty, "dns and the network mode"),
                (!extraHosts.isEmpty, "custom host-to-IP mapping and the network mode"),
            ] where isSaid {
                throw TranslationError("conflicting options: \(what)")
            }
            try refuseAddress(request)
            let publishesAll = try request.hostFields.isSet("PublishAllPorts")
            let publishes = publishesAll || !ports.isEmpty
            if publishes || !expose.isEmpty {
                let what = publishes ? "port publishing" : "port exposing"
                throw TranslationError("conflicting options: \(what) and the container type network mode")
            }
        } else if networkMode == "host" {
            try refuseAddress(request)
            if !externalLinks.isEmpty {
                throw TranslationError("conflicting options: host type networking \(undefined)")
            }
        }
    }

    /// A MAC address, where the container has no interface of its own.
    private func refuseAddress(_ request: ContainerRequest) throws(TranslationError) {
        var addresses = [try request.configFields.text("MacAddress")]
        for (_, fields) in try Fields(["EndpointsConfig": .object(request.endpoints)]).named("EndpointsConfig") {
            addresses.append(try fields.text("MacAddress"))
        }
        if addresses.contains(where: { $0 != nil }) {
            throw TranslationError("conflicting options: mac-address and the network mode")
        }
    }

    private enum NetworkMode {
        case host, none, attached
        case container(String)

        init(_ host: Fields) throws(TranslationError) {
            switch try host.text("NetworkMode") {
            case "host"?: self = .host
            case "none"?: self = .none
            case let mode? where mode.hasPrefix("container:"):
                self = .container(String(mode.dropFirst("container:".count)))
            default: self = .attached
            }
        }
    }

    private func mode(
        _ host: Fields, _ name: String, _ known: [String], others: Bool = true
    ) throws(TranslationError) -> String? {
        guard let mode = try host.text(name) else { return nil }
        if known.contains(mode) || (others && mode.hasPrefix("container:")) { return mode }
        throw host.refuse(name, "invalid mode '\(mode)'; use \(known.joined(separator: ", "))")
    }
}

extension RestartPolicy {
    public init(docker fields: Fields) throws(TranslationError) {
        let name = try fields.text("Name") ?? "no"
        guard let mode = Mode(rawValue: name) else {
            throw TranslationError(
                "invalid restart policy: unknown policy '\(name)'; use one of 'no', 'always', 'on-failure', or "
                    + "'unless-stopped'")
        }
        self.init(mode: mode)
        guard let count = try fields.amount("MaximumRetryCount") else { return }
        guard mode == .onFailure else {
            throw TranslationError(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'")
        }
        guard count > 0 else {
            throw TranslationError("invalid restart policy: maximum retry count cannot be negative")
        }
        attemptsMax = Int(clamping: count)
    }
}

extension Healthcheck {
    public init(docker fields: Fields) throws(TranslationError) {
        self.init(test: try fields.list("Test").flatMap { $0.isEmpty ? nil : $0 })
        interval = try Self.span(fields, "Interval")
        timeout = try Self.span(fields, "Timeout")
        retries = try fields.amount("Retries").map { Int(clamping: $0) }
        startPeriod = try Self.span(fields, "StartPeriod")
        startInterval = try Self.span(fields, "StartInterval")
        if let retries, retries < 0 { throw fields.refuse("Retries", "cannot be negative") }
    }

    private static func span(_ fields: Fields, _ name: String) throws(TranslationError) -> Int64? {
        guard let span = try fields.amount(name) else { return nil }
        guard span >= 1_000_000 else { throw TranslationError("\(name) in Healthcheck cannot be less than 1ms") }
        return span
    }
}

extension Resources {
    private static let memoryMin: Int64 = 6 << 20

    /// The limits of a `HostConfig` or of `POST /containers/{id}/update`; absent and zero are "not said".
    public init(docker host: Fields) throws(TranslationError) {
        self.init()
        memory = try host.amount("Memory")
        memoryReservation = try host.amount("MemoryReservation")
        memorySwap = try host.amount("MemorySwap")
        memorySwappiness = try host.number("MemorySwappiness").flatMap { $0 < 0 ? nil : $0 }
        nanoCPUs = try host.amount("NanoCpus")
        cpuShares = try host.amount("CpuShares")
        cpuQuota = try host.amount("CpuQuota")
        cpuPeriod = try host.amount("CpuPeriod")
        cpuRealtimePeriod = try host.amount("CpuRealtimePeriod")
        cpuRealtimeRuntime = try host.amount("CpuRealtimeRuntime")
        cpuset = try host.text("CpusetCpus")
        pids = try host.amount("PidsLimit").map { $0 < 0 ? -1 : $0 }
        blockIO = try BlockIO(host)
        try check()
    }

    private func check() throws(TranslationError) {
        if let memory, memory < Self.memoryMin { throw TranslationError("Minimum memory limit allowed is 6MB") }
        if let memory, let swap = memorySwap, swap > 0, swap < memory {
            throw TranslationError(
                "Minimum memoryswap limit should be larger than memory limit, see usage")
        }
        if memory == nil, let swap = memorySwap, swap > 0 {
            throw TranslationError("You should always set the Memory limit when using Memoryswap limit, see usage")
        }
        if let memory, let reservation = memoryReservation, memory < reservation {
            throw TranslationError(
                "Minimum memory limit can not be less than memory reservation limit, see usage")
        }
        if nanoCPUs != nil, cpuQuota != nil || cpuPeriod != nil {
            throw TranslationError(
                "Conflicting options: Nano CPUs and CPU \(cpuQuota != nil ? "Quota" : "Period") cannot both be set.")
        }
        if let nanoCPUs, nanoCPUs < 0 { throw TranslationError("HostConfig.NanoCpus: cannot be negative") }
        if let period = cpuPeriod, !(1000...1_000_000).contains(period) {
            throw TranslationError(
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
        }
        if let quota = cpuQuota, quota > 0, quota < 1000 {
            throw TranslationError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
        }
        if let swappiness = memorySwappiness, swappiness > 100 {
            throw TranslationError("Invalid value: \(swappiness), valid memory swappiness range is 0-100")
        }
    }

    /// What `other` says over what this says.
    public mutating func take(_ other: Resources) {
        memory = other.memory ?? memory
        memoryReservation = other.memoryReservation ?? memoryReservation
        memorySwap = other.memorySwap ?? memorySwap
        memorySwappiness = other.memorySwappiness ?? memorySwappiness
        nanoCPUs = other.nanoCPUs ?? nanoCPUs
        cpuShares = other.cpuShares ?? cpuShares
        cpuQuota = other.cpuQuota ?? cpuQuota
        cpuPeriod = other.cpuPeriod ?? cpuPeriod
        cpuRealtimePeriod = other.cpuRealtimePeriod ?? cpuRealtimePeriod
        cpuRealtimeRuntime = other.cpuRealtimeRuntime ?? cpuRealtimeRuntime
        cpuset = other.cpuset ?? cpuset
        pids = other.pids ?? pids
        blockIO = other.blockIO ?? blockIO
    }
}

extension BlockIO {
    fileprivate init?(_ host: Fields) throws(TranslationError) {
        self.init()
        weight = try host.amount("BlkioWeight")
        for device in try host.objects("BlkioWeightDevice") {
            deviceWeights.append(Weight(path: try device.text("Path") ?? "", weight: try device.number("Weight") ?? 0))
        }
        readBytes = try Self.rates(host, "BlkioDeviceReadBps")
        writeBytes = try Self.rates(host, "BlkioDeviceWriteBps")
        readOperations = try Self.rates(host, "BlkioDeviceReadIOps")
        writeOperations = try Self.rates(host, "BlkioDeviceWriteIOps")
        if self == BlockIO() { return nil }
        if let weight, !(10...1000).contains(weight) {
            throw TranslationError("Range of blkio weight is from 10 to 1000")
        }
    }

    private static func rates(_ host: Fields, _ name: String) throws(TranslationError) -> [Rate] {
        var rates: [Rate] = []
        for device in try host.objects(name) {
            rates.append(Rate(path: try device.text("Path") ?? "", rate: try device.number("Rate") ?? 0))
        }
        return rates
    }
}
