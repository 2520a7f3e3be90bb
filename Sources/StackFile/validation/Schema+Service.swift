extension Schema {
    /// What runs and as whom.
    static let serviceProcess: [String: Field] = [
        "image": Field(.string),
        "build": Field(.string.or(build).orNull, .ignored),
        "command": Field(command),
        "entrypoint": Field(command),
        "environment": Field(listOrMap),
        "env_file": Field(
            .string.or(
                .list(
                    .string.or(
                        .object(
                            ["path": Field(.string), "format": Field(.string), "required": Field(.boolean)],
                            required: ["path"], extensions: false))))),
        "user": Field(.string),
        "group_add": Field(.list(.scalar([.string, .number]))),
        "working_dir": Field(.string),
        "hostname": Field(.string),
        "domainname": Field(.string),
        "container_name": Field(.string),
        "labels": Field(listOrMap),
        "label_file": Field(stringOrList),
        "annotations": Field(listOrMap, .ignored),
        "init": Field(.boolean),
        "read_only": Field(.boolean),
        "privileged": Field(.boolean),
        "tty": Field(.boolean),
        "stdin_open": Field(.boolean),
        "attach": Field(.boolean, .ignored),
        "cap_add": Field(stringList),
        "cap_drop": Field(stringList),
        "security_opt": Field(stringList),
        "userns_mode": Field(.string, .ignored),
        "uts": Field(.string, .ignored),
        "pid": Field(.string.orNull),
        "ipc": Field(.string),
        "cgroup": Field(.word("host", "private"), .ignoredUnless(["private"])),
        "cgroup_parent": Field(.string, .ignored),
        "isolation": Field(.string, .ignoredUnless(["default"])),
        "runtime": Field(.string, .ignored),
        "platform": Field(.string, .ignored),
        "credential_spec": Field(
            .object(["config": Field(.string), "file": Field(.string), "registry": Field(.string)]), .ignored),
        "sysctls": Field(listOrMap),
        "oom_kill_disable": Field(.boolean, .ignoredUnless(["false"])),
        "oom_score_adj": Field(.integer),
        "use_api_socket": Field(.boolean, .ignoredUnless(["false"])),
    ]

    /// What it may use.
    static let serviceResources: [String: Field] = [
        "blkio_config": Field(blkio, .ignored),
        "cpu_count": Field(.integer, .ignored),
        "cpu_percent": Field(.number, .ignored),
        "cpu_shares": Field(.number),
        "cpu_quota": Field(.number, .ignored),
        "cpu_period": Field(.number, .ignored),
        "cpu_rt_period": Field(.number, .ignored),
        "cpu_rt_runtime": Field(.number, .ignored),
        "cpus": Field(.number),
        "cpuset": Field(.string),
        "mem_limit": Field(.number),
        "mem_reservation": Field(.integer),
        "mem_swappiness": Field(.integer, .ignored),
        "memswap_limit": Field(.number),
        "shm_size": Field(.number),
        "pids_limit": Field(.number),
        "ulimits": Field(ulimits),
        "devices": Field(
            .list(
                .string.or(
                    .object(
                        ["source": Field(.string), "target": Field(.string), "permissions": Field(.string)],
                        required: ["source"])))),
        "device_cgroup_rules": Field(stringList, .ignored),
        "gpus": Field(.word("all").or(.list(deviceRequest(required: []))), .ignored),
        "storage_opt": Field(.map(.anything), .ignored),
    ]

    /// What it sees and who sees it.
    static let serviceWorld: [String: Field] = [
        "ports": Field(
            .list(
                .scalar([.number, .string]).or(
                    .object([
                        "name": Field(.string), "mode": Field(.string), "host_ip": Field(.string),
                        "target": Field(.integer), "published": Field(.integer), "protocol": Field(.string),
                        "app_protocol": Field(.string),
                    ])))),
        "expose": Field(.list(.scalar([.string, .number]))),
        "networks": Field(stringList.or(resources(attachment.orNull))),
        "network_mode": Field(.string),
        "mac_address": Field(.string),
        "links": Field(stringList, .ignored),
        "external_links": Field(stringList, .ignored),
        "extra_hosts": Field(.map(stringOrList).or(stringList)),
        "dns": Field(stringOrList),
        "dns_opt": Field(stringList),
        "dns_search": Field(stringOrList),
        "volumes": Field(.list(.string.or(mount))),
        "volumes_from": Field(stringList, .ignored),
        "tmpfs": Field(stringOrList),
        "configs": Field(.list(.string.or(fileMount))),
        "secrets": Field(.list(.string.or(fileMount))),
        "models": Field(
            stringList.or(
                resources(.object(["endpoint_var": Field(.string), "model_var": Field(.string)]).orNull)), .ignored),
        "logging": Field(.object(["driver": Field(.string), "options": Field(optionMap)]), .ignored),
    ]

    /// When it runs.
    static let serviceLifecycle: [String: Field] = [
        "depends_on": Field(stringList.or(resources(dependency))),
        "deploy": Field(deploy.orNull),
        "develop": Field(develop.orNull, .ignored),
        "extends": Field(
            .string.or(
                .object(["service": Field(.string), "file": Field(.string)], required: ["service"], extensions: false))
        ),
        "healthcheck": Field(
            .object([
                "test": Field(stringOrList), "interval": Field(.string), "timeout": Field(.string),
                "retries": Field(.number), "start_period": Field(.string), "start_interval": Field(.string),
                "disable": Field(.boolean),
            ])),
        "profiles": Field(stringList),
        "provider": Field(
            .object(["type": Field(.string), "options": Field(.map(.anything))], required: ["type"]), .ignored),
        "pre_start": Field(.list(hook(startsContainer: true)), .ignored),
        "post_start": Field(.list(hook(startsContainer: false)), .ignored),
        "pre_stop": Field(.list(hook(startsContainer: false)), .ignored),
        "pull_policy": Field(.string, .ignoredUnless(["missing", "if_not_present"])),
        "pull_refresh_after": Field(.string, .ignored),
        "restart": Field(.string),
        "scale": Field(.integer),
        "stop_grace_period": Field(.string),
        "stop_signal": Field(.string),
    ]

    static let dependency: Shape = .object(
        [
            "condition": Field(.string), "restart": Field(.boolean), "required": Field(.boolean),
        ], required: ["condition"])

    static let attachment: Shape = .object([
        "aliases": Field(stringList),
        "interface_name": Field(.string, .ignored),
        "ipv4_address": Field(.string),
        "ipv6_address": Field(.string),
        "link_local_ips": Field(stringList, .ignored),
        "mac_address": Field(.string),
        "driver_opts": Field(optionMap, .ignored),
        "priority": Field(.number),
        "gw_priority": Field(.number),
    ])

    static let fileMount: Shape = .object([
        "source": Field(.string), "target": Field(.string), "uid": Field(.string), "gid": Field(.string),
        "mode": Field(.number),
    ])

    static let mount: Shape = .object(
        [
            "type": Field(.word("bind", "volume", "tmpfs", "cluster", "npipe", "image")),
            "source": Field(.string),
            "target": Field(.string),
            "read_only": Field(.boolean),
            "consistency": Field(.string),
            "bind": Field(
                .object([
                    "propagation": Field(.string), "create_host_path": Field(.boolean),
                    "recursive": Field(
                        .word("enabled", "disabled", "writable", "readonly"), .ignoredUnless(["enabled"])),
                    "selinux": Field(.word("z", "Z"), .ignored),
                ])),
            "volume": Field(
                .object([
                    "labels": Field(listOrMap, .ignored), "nocopy": Field(.boolean),
                    "subpath": Field(.string, .ignored),
                ])),
            "tmpfs": Field(.object(["size": Field(.integer), "mode": Field(.number)])),
            "image": Field(.object(["subpath": Field(.string)])),
        ], required: ["type"])

    static let ulimits: Shape = .map(
        .integer.or(.object(["soft": Field(.integer), "hard": Field(.integer)], required: ["soft", "hard"])),
        .lowercase)
}
