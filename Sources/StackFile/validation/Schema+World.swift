extension Schema {
    /// What a service sees and who sees it.
    static let serviceWorld: [String: Field] = [
        "ports": Field(
            .list(.scalar([.number, .string]).or(port), repeats: .merged),
            "Ports to publish on the host, as `[[ADDRESS:]HOST:]CONTAINER[/udp]`"),
        "expose": Field(
            .list(.scalar([.string, .number]), repeats: .merged), "Ports that the service listens on, for other tools"),
        "networks": Field(stringList.or(resources(attachment.orNull)), "Networks to attach to, `default` otherwise"),
        "network_mode": Field(.string, "none, host, `service:NAME` or `container:NAME`, in place of `networks`"),
        "mac_address": Field(.string, "MAC address on the first network"),
        "links": Field(mergedList, "Services to reach under further names, as `SERVICE[:ALIAS]`", .ignored),
        "external_links": Field(
            stringList, "Containers outside the stack to reach by name, as `CONTAINER[:ALIAS]`", .ignored),
        "extra_hosts": Field(extraHosts, "Names for /etc/hosts with their addresses; `host-gateway` is the host"),
        "dns": Field(stringOrList, "Addresses of name servers, in place of the host's"),
        "dns_opt": Field(mergedList, "Options of the resolver, such as ndots:2"),
        "dns_search": Field(stringOrList, "Domains to look names up in"),
        "volumes": Field(
            .list(.string.or(mount), repeats: .merged),
            "Volumes and files of the host to mount, as `[SOURCE:]TARGET[:ro]`"),
        "volumes_from": Field(
            stringList, "Services or containers whose volumes are mounted as well, as `SERVICE[:ro]`", .ignored),
        "tmpfs": Field(stringOrList, "Folders kept in memory, as `PATH[:OPTIONS]`"),
        "configs": Field(.list(.string.or(fileMount)), "Configs to see, by default under /"),
        "secrets": Field(.list(.string.or(fileMount)), "Secrets to see, by default under /run/secrets"),
        "models": Field(
            stringList.or(
                resources(
                    .object([
                        "endpoint_var": Field(.string, "Variable that gets the model's address"),
                        "model_var": Field(.string, "Variable that gets the model's name"),
                    ]).orNull)), "Language models to use", .ignored),
        "logging": Field(
            .object([
                "driver": Field(
                    .string, "Where output goes: to a rotated file, or with none nowhere",
                    .ignoredUnless(["json-file", "local", "none"])),
                "options": Field(
                    .map(.scalar([.string, .number, .null])), "max-size and max-file, 10m and 3 by default"),
            ]), "What happens to the service's output"),
    ]

    static let extraHosts = Shape.map(.string.or(texts)).or(.list(.string, repeats: .refused))
        .named("extra_hosts", "A mapping of names to addresses, or a list of `NAME=ADDRESS`")

    static let port: Shape = .object(
        [
            "name": Field(.string, "What the port is for, for people"),
            "target": Field(.integer, "Port in the container"),
            "published": Field(.integer, "Port of the host, or a range to choose from; any free one when missing"),
            "host_ip": Field(.string, "Address of the host to listen on; all of them when missing"),
            "protocol": Field(.string, "tcp or udp, tcp by default"),
            "app_protocol": Field(.string, "What is spoken on the port, such as http, for people"),
            "mode": Field(.string, "`host` or `ingress`; on a single host both are the same"),
        ], named: "port")

    static let attachment: Shape = .object(
        [
            "aliases": Field(mergedList, "Further names of the service on the network"),
            "interface_name": Field(.string, "Name of the network interface in the container"),
            "ipv4_address": Field(.string, "Fixed IPv4 address"),
            "ipv6_address": Field(.string, "Fixed IPv6 address"),
            "link_local_ips": Field(mergedList, "Link-local addresses"),
            "mac_address": Field(.string, "MAC address on the network"),
            "driver_opts": Field(options, "Options of the network's driver"),
            "priority": Field(.scalar(.number), "Networks of a higher priority are attached first"),
            "gw_priority": Field(.scalar(.number), "The network of the highest gets the default route"),
        ], named: "attachment")

    static let fileMount: Shape = .object(
        [
            "source": Field(.string, "Name of the config or secret"),
            "target": Field(.string, "Path in the container"),
            "uid": Field(.string, "Owner of the file, a number in quotes"),
            "gid": Field(.string, "Group of the file, a number in quotes"),
            "mode": Field(.number, "Rights of the file in octal, such as 0440"),
        ], named: "file_mount")

    static let mount: Shape = .object(
        [
            "type": Field(
                .word("bind", "volume", "tmpfs", "cluster", "npipe", "image"),
                "bind for a path of the host, volume, tmpfs for memory, or image"),
            "source": Field(.string, "Path of the host, name of the volume, or image"),
            "target": Field(.string, "Path in the container"),
            "read_only": Field(.boolean, "Whether the container cannot write to it"),
            "consistency": Field(.string, "Consistency of the mount; means nothing on Linux"),
            "bind": Field(bindOptions, "Options of bind mounts"),
            "volume": Field(volumeOptions, "Options of volumes"),
            "tmpfs": Field(
                .object([
                    "size": Field(.integer(0...Int64.max), "Largest size, such as 64m"),
                    "mode": Field(.number, "Rights of the folder in octal, such as 01777"),
                ]), "Options of folders in memory"),
            "image": Field(
                .object(["subpath": Field(.string, "Folder within the image to mount")]), "Options of images"),
        ], named: "mount", required: ["type"])

    private static let bindOptions: Shape = .object([
        "propagation": Field(.string, "Propagation of mounts below: rprivate, private, rshared, shared, rslave, slave"),
        "create_host_path": Field(.boolean, "Whether a missing folder of the host is made, true by default"),
        "recursive": Field(
            .word("enabled", "disabled", "writable", "readonly"), "What becomes of mounts below",
            .ignoredUnless(["enabled"])),
        "selinux": Field(.word("z", "Z"), "SELinux label: z for a shared one, Z for one of its own", .ignored),
    ])

    private static let volumeOptions: Shape = .object([
        "labels": Field(uniqueListOrMap, "Labels of the volume when it is made for this mount", .ignored),
        "nocopy": Field(.boolean, "Whether an empty volume is left empty instead of getting the image's files"),
        "subpath": Field(.string, "Folder within the volume to mount", .ignored),
    ])
}
