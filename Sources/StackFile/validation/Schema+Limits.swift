extension Schema {
    /// What a service may use.
    static let serviceResources: [String: Field] = [
        "blkio_config": Field(blkio, "Limits of block devices"),
        "cpu_count": Field(.integer(0...Int64.max), "How many CPUs it may use, on Windows", .ignored),
        "cpu_percent": Field(.integer(0...100), "Percentage of the CPUs it may use, on Windows", .ignored),
        "cpu_shares": Field(.number, "Weight among containers that want the CPU, 1024 by default"),
        "cpu_quota": Field(.number, "Microseconds of CPU time in each `cpu_period`"),
        "cpu_period": Field(.number, "Microseconds that `cpu_quota` is counted over"),
        "cpu_rt_period": Field(.number, "Period of the real-time scheduler, in microseconds"),
        "cpu_rt_runtime": Field(.number, "Real-time CPU time in each period, in microseconds"),
        "cpus": Field(.number, "How many CPUs it may use, such as 0.5"),
        "cpuset": Field(.string, "CPUs it may run on, such as 0-3,6"),
        "mem_limit": Field(.number, "Memory it may use, such as 512m"),
        "mem_reservation": Field(.integer, "Memory it keeps when the host runs short, such as 256m"),
        "mem_swappiness": Field(.integer, "How readily its memory is swapped out, 0 to 100"),
        "memswap_limit": Field(.number, "Memory and swap together, such as 1g; -1 for no limit"),
        "shm_size": Field(.number, "Size of /dev/shm, such as 64m"),
        "pids_limit": Field(.number, "How many processes it may have; -1 for no limit"),
        "ulimits": Field(ulimits, "Limits of each process, such as nofile, by name"),
        "devices": Field(
            .list(.string.or(device)), "Devices of the host, as `HOST[:CONTAINER[:rwm]]` or CDI names"),
        "device_cgroup_rules": Field(stringList, "Rules of the device control group, such as c 1:3 mr"),
        "gpus": Field(.word("all").or(.list(gpu)), "GPUs it may use: all, or a list of requests", .ignored),
        // compose-go's schema takes anything, but it reads texts alone.
        "storage_opt": Field(
            .map(.scalar([.string, .number, .null])), "Options of the storage of the root file system", .ignored),
    ]

    // compose-go takes any name here, which the kernel does not know then.
    static let ulimits = Shape.map(
        .integer.or(
            .object(
                [
                    "soft": Field(.integer, "The limit in force; a process may raise it up to `hard`"),
                    "hard": Field(.integer, "The limit that cannot be raised; -1 for none"),
                ], named: "ulimit", required: ["hard", "soft"])), .lowercase
    )
    .named("ulimits", "Limits of each process by name: one number, or `soft` and `hard`")

    static let device: Shape = .object(
        [
            "source": Field(.string, "Device of the host, such as /dev/ttyUSB0, or a CDI name"),
            "target": Field(.string, "Where it is in the container; by default the same"),
            "permissions": Field(.string, "Any of r (read), w (write), m (make the node); rwm by default"),
        ], named: "device", required: ["source"])

    private static let deviceRequestFields: [String: Field] = [
        "capabilities": Field(stringList, "What the devices must be capable of, such as gpu"),
        "count": Field(.integer, "How many devices, or `all`; not together with `device_ids`"),
        "device_ids": Field(stringList, "Which devices; not together with `count`"),
        "driver": Field(.string, "Driver of the devices"),
        "options": Field(uniqueListOrMap, "Options of the driver"),
    ]

    static let deviceRequest: Shape = .object(
        deviceRequestFields, named: "device_request", required: ["capabilities"])

    /// compose-go takes any other key here: in its schema, `additionalProperties` stands beside the list.
    static let gpu: Shape = .object(
        Shape.Object(name: "gpu_request", fields: deviceRequestFields, refusesUnknown: false))

    static let blkio: Shape = {
        let rates: Shape = .list(
            .object(
                [
                    "path": Field(.string, "Path of the device, such as /dev/sda"),
                    "rate": Field(.integer, "Bytes (such as 12mb) or operations in a second"),
                ], named: "device_rate", extensions: false))
        let weights: Shape = .list(
            .object(
                [
                    "path": Field(.string, "Path of the device, such as /dev/sda"),
                    "weight": Field(.integer, "Weight among containers that want the device, 10 to 1000"),
                ], named: "device_weight", extensions: false))
        return .object(
            [
                "device_read_bps": Field(rates, "Bytes read from devices in a second"),
                "device_read_iops": Field(rates, "Reads of devices in a second"),
                "device_write_bps": Field(rates, "Bytes written to devices in a second"),
                "device_write_iops": Field(rates, "Writes to devices in a second"),
                "weight": Field(.integer, "Weight among containers that want a device, 10 to 1000"),
                "weight_device": Field(weights, "Weights for single devices"),
            ], extensions: false)
    }()
}
