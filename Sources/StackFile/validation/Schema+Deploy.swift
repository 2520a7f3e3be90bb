extension Schema {
    static let deploy: Shape = .object([
        "mode": Field(.string, .ignoredUnless(["replicated"])),
        "endpoint_mode": Field(.string, .ignored),
        "replicas": Field(.integer),
        "labels": Field(listOrMap, .ignored),
        "update_config": Field(updateConfig, .ignored),
        "rollback_config": Field(updateConfig, .ignored),
        "resources": Field(
            .object([
                "limits": Field(
                    .object(["cpus": Field(.number), "memory": Field(.string), "pids": Field(.integer)])),
                "reservations": Field(
                    .object([
                        "cpus": Field(.number, .ignored),
                        "memory": Field(.string),
                        "generic_resources": Field(
                            .list(
                                .object([
                                    "discrete_resource_spec": Field(
                                        .object(["kind": Field(.string), "value": Field(.number)]))
                                ])), .ignored),
                        "devices": Field(.list(deviceRequest(required: ["capabilities"])), .ignored),
                    ])),
            ])),
        "restart_policy": Field(
            .object([
                "condition": Field(.string), "delay": Field(.string, .ignored), "max_attempts": Field(.integer),
                "window": Field(.string, .ignored),
            ])),
        "placement": Field(
            .object([
                "constraints": Field(stringList),
                "preferences": Field(.list(.object(["spread": Field(.string)]))),
                "max_replicas_per_node": Field(.integer),
            ]), .ignored),
    ])

    static let updateConfig: Shape = .object([
        "parallelism": Field(.integer), "delay": Field(.string), "failure_action": Field(.string),
        "monitor": Field(.string), "max_failure_ratio": Field(.number),
        "order": Field(.word("start-first", "stop-first")),
    ])

    static func deviceRequest(required: Set<String>) -> Shape {
        .object(
            [
                "capabilities": Field(stringList), "count": Field(.integer), "device_ids": Field(stringList),
                "driver": Field(.string), "options": Field(listOrMap),
            ], required: required)
    }

    static let blkio: Shape = {
        let rates: Shape = .list(.object(["path": Field(.string), "rate": Field(.integer)], extensions: false))
        return .object(
            [
                "device_read_bps": Field(rates), "device_read_iops": Field(rates), "device_write_bps": Field(rates),
                "device_write_iops": Field(rates), "weight": Field(.integer),
                "weight_device": Field(
                    .list(.object(["path": Field(.string), "weight": Field(.integer)], extensions: false))),
            ], extensions: false)
    }()

    static let develop: Shape = .object([
        "watch": Field(
            .list(
                .object(
                    [
                        "path": Field(.string), "target": Field(.string),
                        "action": Field(.word("rebuild", "sync", "restart", "sync+restart", "sync+exec")),
                        "include": Field(stringOrList), "ignore": Field(stringOrList),
                        "exec": Field(hook(startsContainer: false)), "initial_sync": Field(.boolean),
                    ], required: ["path", "action"])))
    ])

    static func hook(startsContainer: Bool) -> Shape {
        var fields: [String: Field] = [
            "command": Field(command), "user": Field(.string), "privileged": Field(.boolean),
            "working_dir": Field(.string), "environment": Field(listOrMap),
        ]
        if startsContainer {
            fields["image"] = Field(.string)
            fields["per_replica"] = Field(.boolean)
        }
        return .object(fields, required: startsContainer ? [] : ["command"])
    }

    static let build: Shape = .object([
        "context": Field(.string), "dockerfile": Field(.string), "dockerfile_inline": Field(.string),
        "entitlements": Field(stringList), "args": Field(listOrMap), "ssh": Field(.string.or(listOrMap)),
        "labels": Field(listOrMap), "cache_from": Field(stringList), "cache_to": Field(stringList),
        "no_cache": Field(.boolean), "no_cache_filter": Field(stringOrList),
        "additional_contexts": Field(listOrMap), "network": Field(.string), "provenance": Field(.boolean),
        "sbom": Field(.boolean), "pull": Field(.boolean), "target": Field(.string), "shm_size": Field(.integer),
        "extra_hosts": Field(.map(stringOrList).or(stringList)), "isolation": Field(.string),
        "privileged": Field(.boolean), "secrets": Field(.list(.string.or(fileMount))), "tags": Field(stringList),
        "ulimits": Field(ulimits), "platforms": Field(stringList),
    ])
}
