/// The stack file as a table: every key of the Compose Specification (schema of compose-go, draft 2020-12), of Compose
/// jobs and of `x-gantry`, with its shape, what it says, and whether Gantry gives it a meaning. This is the one place
/// where keys are declared; `stackFileSchema()` is the same table for editors.
///
/// Where compose-go takes what its schema refuses or the contrary, the loader is followed; a comment says so.
enum Schema {
    static let file: Shape = .object([
        "name": Field(.string, "Name of the stack; by default the name of the folder of the first file"),
        // A number is refused, as compose-go does.
        "version": Field(.string, "Version of old Compose files; it means nothing any more"),
        // compose-go has read and removed it before its schema is looked at, so that null is fine.
        "include": Field(
            .list(.string.or(include)).orNull, "Other stack files whose services and resources join this one"),
        "services": Field(resources(service), "The programs that make up the stack, by name"),
        "jobs": Field(resources(job), "Programs that run when asked for or by the clock, by name", .ignored),
        "networks": Field(resources(network.orNull), "Networks that services attach to, by name"),
        "volumes": Field(resources(volume.orNull), "Volumes that keep data beyond the life of a container, by name"),
        "configs": Field(resources(config), "Files handed to services, by name"),
        "secrets": Field(resources(secret), "Files with secrets handed to services, by name"),
        "models": Field(resources(model), "Language models that services may use, by name", .ignored),
        "x-gantry": Field(gantry, "What the whole stack asks of Gantry beyond the Compose Specification"),
    ])

    static let include: Shape = .object(
        [
            "path": Field(stringOrList, "The file to include, or several that are merged"),
            "env_file": Field(stringOrList, "Files with variables for the included file; `/dev/null` for none"),
            "project_directory": Field(.string, "Folder that relative paths of the included file start from"),
        ], named: "include", extensions: false)

    static let service: Shape = .object(serviceFields, named: "service")

    static let serviceFields: [String: Field] = [
        serviceProcess, serviceIdentity, serviceResources, serviceWorld, serviceLifecycle,
        ["x-gantry": Field(serviceGantry, "What the service asks of Gantry beyond the Compose Specification")],
    ].reduce(into: [:]) { fields, part in fields.merge(part) { first, _ in first } }

    /// Not in the published schema yet.
    static let job: Shape = .object(
        Shape.Object(
            name: "job",
            fields: serviceFields.merging(["triggers": Field(triggers, "What makes the job run")]) { first, _ in first
            },
            base: "service"))

    static let triggers: Shape = .object([
        "manual": Field(.boolean, "Whether the job runs when a person asks for it"),
        "schedule": Field(
            .list(.object(["cron": Field(.string, "When the job runs, as the five fields of crontab: `0 3 * * *`")])),
            "Times at which the job runs"),
    ])
}

/// Shapes that many keys share.
extension Schema {
    static let stringList = Shape.list(.string, repeats: .refused)
        .named("string_list", "Texts, each of them once")
    /// Texts of which merging has dropped repeats.
    static let mergedList = Shape.list(.string, repeats: .merged)
        .named("string_list", "Texts, each of them once")
    static let texts = Shape.list(.string)
    static let stringOrList = Shape.string.or(.list(.string, repeats: .merged))
        .named("string_or_list", "One text, or a list of them")
    /// As `stringOrList`, where compose-go does not drop repeats.
    static let stringOrUniqueList = Shape.string.or(.list(.string, repeats: .refused))
        .named("string_or_list", "One text, or a list of them")
    static let listOrMap = Shape.map(.scalar([.string, .number, .boolean, .null]))
        .or(.list(.string, repeats: .merged))
        .named("list_or_map", "A mapping, or a list of `KEY=value`")
    /// As `listOrMap`, where compose-go does not drop repeats.
    static let uniqueListOrMap = Shape.map(.scalar([.string, .number, .boolean, .null]))
        .or(.list(.string, repeats: .refused))
        .named("list_or_map", "A mapping, or a list of `KEY=value`")
    static let command = Shape.string.or(texts).orNull
        .named("command", "A command line, or the list of its words; null for what the image has")
    static let options = Shape.map(.scalar([.string, .number]))
        .named("options", "Options of a driver: texts and numbers by name")
    static let external = Shape.boolean
        .or(.object(["name": Field(.string, "Name of the existing resource; write `name` beside `external`")]))
        .named("external", "Whether the resource exists already and is left alone")
    /// As `external`, for configs and secrets, where compose-go takes any key.
    static let looseExternal: Shape = {
        let name = Field(.string, "Name of the existing resource; write `name` beside `external`")
        return .boolean.or(.object(Shape.Object(fields: ["name": name], refusesUnknown: false)))
            .named("external_file", "Whether the config or secret exists already")
    }()

    static func resources(_ value: Shape) -> Shape { .map(value, .resourceName) }
}
