/// What services share: networks, volumes, configs, secrets and models.
extension Schema {
    static let network: Shape = .object(
        [
            "name": Field(.string, "Name on the host; by default the stack's name, `_` and the key"),
            "driver": Field(.string, "What makes the network; `bridge` by default"),
            "driver_opts": Field(options, "Options of the driver"),
            "ipam": Field(ipam, "Addresses of the network"),
            "external": Field(external, "Whether the network exists already and is left alone"),
            "internal": Field(.boolean, "Whether the network has no way out of the host"),
            "enable_ipv4": Field(.boolean, "Whether containers get IPv4 addresses"),
            "enable_ipv6": Field(.boolean, "Whether containers get IPv6 addresses as well"),
            "attachable": Field(.boolean, "Whether containers outside the stack may attach"),
            "labels": Field(listOrMap, "Labels of the network"),
        ], named: "network")

    static let ipam: Shape = .object([
        "driver": Field(.string, "What hands out addresses; only `default`"),
        "config": Field(.list(pool), "Address ranges of the network"),
        "options": Field(.map(.string), "Options of the driver that hands out addresses", .ignored),
    ])

    static let pool: Shape = .object(
        [
            "subnet": Field(.string, "The subnet in CIDR form, such as 10.5.0.0/16"),
            "ip_range": Field(.string, "Part of the subnet that containers get addresses from, in CIDR form"),
            "gateway": Field(.string, "Address of the host in the subnet"),
            "aux_addresses": Field(.map(.string), "Addresses kept free for hosts that are no containers, by name"),
        ], named: "address_pool")

    static let volume: Shape = .object(
        [
            "name": Field(.string, "Name on the host; by default the stack's name, `_` and the key"),
            "driver": Field(.string, "What keeps the data; `local` by default", .ignoredUnless(["local"])),
            "driver_opts": Field(options, "Where the data is kept: `type: none, o: bind, device: FOLDER`"),
            "external": Field(external, "Whether the volume exists already and is left alone"),
            "labels": Field(uniqueListOrMap, "Labels of the volume"),
        ], named: "volume")

    static let secret: Shape = .object(
        [
            "name": Field(.string, "Name of the secret outside the file"),
            "file": Field(.string, "File whose content is the secret"),
            "environment": Field(.string, "Environment variable whose value is the secret"),
            "external": Field(looseExternal, "Whether the secret is kept elsewhere"),
            "labels": Field(uniqueListOrMap, "Labels of the secret", .ignored),
            "driver": Field(.string, "What keeps the secret", .ignored),
            "driver_opts": Field(options, "Options of the driver", .ignored),
            "template_driver": Field(.string, "What fills templates in the secret", .ignored),
        ], named: "secret")

    static let config: Shape = .object(
        [
            "name": Field(.string, "Name of the config outside the file"),
            "file": Field(.string, "File whose content is the config"),
            "environment": Field(.string, "Environment variable whose value is the config"),
            "content": Field(.string, "The content itself; variables in it are substituted"),
            "external": Field(looseExternal, "Whether the config is kept elsewhere"),
            "labels": Field(uniqueListOrMap, "Labels of the config", .ignored),
            "template_driver": Field(.string, "What fills templates in the config", .ignored),
        ], named: "config")

    static let model: Shape = .object(
        [
            "name": Field(.string, "Name of the model outside the file"),
            "model": Field(.string, "The model's image reference"),
            "context_size": Field(.scalar(.integer), "Largest number of tokens the model takes in"),
            "runtime_flags": Field(texts, "Arguments for the program that runs the model"),
        ], named: "model", required: ["model"])
}
