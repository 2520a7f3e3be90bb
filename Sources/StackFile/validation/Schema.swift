/// The stack file as a table: every key of the Compose Specification (schema of compose-go, draft 2020-12) with its
/// shape and whether Gantry gives it a meaning.
enum Schema {
    static let file: Shape = .object([
        "name": Field(.string),
        "version": Field(.scalar([.string, .number])),
        "include": Field(.list(.string.or(include))),
        "services": Field(resources(service)),
        "networks": Field(resources(network.orNull).orNull),
        "volumes": Field(resources(volume.orNull).orNull),
        "configs": Field(resources(config).orNull),
        "secrets": Field(resources(secret).orNull),
        "models": Field(resources(model), .ignored),
        "jobs": Field(resources(.anything), .ignored),
    ])

    static let include: Shape = .object(
        ["path": Field(stringOrList), "env_file": Field(stringOrList), "project_directory": Field(.string)],
        extensions: false)

    static let stringOrList: Shape = .string.or(.list(.string))
    static let stringList: Shape = .list(.string)
    static let listOrMap: Shape = .map(.scalar([.string, .number, .boolean, .null])).or(stringList)
    static let optionMap: Shape = .map(.scalar([.string, .number, .boolean, .null]))
    static let command: Shape = stringOrList.orNull

    static func resources(_ value: Shape) -> Shape { .map(value, .resourceName) }

    static let external: Shape = .boolean.or(.object(["name": Field(.string)]))

    static let network: Shape = .object([
        "name": Field(.string),
        "driver": Field(.string),
        "driver_opts": Field(optionMap),
        "ipam": Field(
            .object([
                "driver": Field(.string, .ignoredUnless(["default"])),
                "config": Field(
                    .list(
                        .object([
                            "subnet": Field(.string), "ip_range": Field(.string), "gateway": Field(.string),
                            "aux_addresses": Field(.map(.string)),
                        ]))),
                "options": Field(optionMap, .ignored),
            ])),
        "external": Field(external),
        "internal": Field(.boolean),
        "enable_ipv4": Field(.boolean, .ignoredUnless(["true"])),
        "enable_ipv6": Field(.boolean),
        "attachable": Field(.boolean),
        "labels": Field(listOrMap),
    ])

    static let volume: Shape = .object([
        "name": Field(.string),
        "driver": Field(.string),
        "driver_opts": Field(optionMap),
        "external": Field(external),
        "labels": Field(listOrMap),
    ])

    static let secret: Shape = .object([
        "name": Field(.string),
        "file": Field(.string),
        "environment": Field(.string),
        "external": Field(external),
        "labels": Field(listOrMap, .ignored),
        "driver": Field(.string, .ignored),
        "driver_opts": Field(optionMap, .ignored),
        "template_driver": Field(.string, .ignored),
    ])

    static let config: Shape = .object([
        "name": Field(.string),
        "file": Field(.string),
        "environment": Field(.string),
        "content": Field(.string),
        "external": Field(external),
        "labels": Field(listOrMap, .ignored),
        "template_driver": Field(.string, .ignored),
    ])

    static let model: Shape = .object(
        [
            "name": Field(.string), "model": Field(.string), "context_size": Field(.integer),
            "runtime_flags": Field(stringList),
        ], required: ["model"])

    static let service: Shape = .object(
        serviceProcess.merging(serviceResources) { first, _ in first }
            .merging(serviceWorld) { first, _ in first }
            .merging(serviceLifecycle) { first, _ in first },
        extensions: true)
}
