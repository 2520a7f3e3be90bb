/// `x-gantry`: what a stack asks of Gantry beyond the Compose Specification. Unlike other `x-…`, its keys are checked.
extension Schema {
    static let serviceGantry: Shape = .object(
        [
            "rollout": Field(rollout, "How containers are replaced by newer ones", .ignored),
            "reload": Field(
                reload, "What to do when the content of a config or secret changes, instead of replacing containers",
                .ignored),
            "session_affinity": Field(
                .word("none", "client_ip"), "Whether a client's connections keep going to the same container"),
            "drift": Field(driftPolicy, "What to do when a container was changed behind the engine's back", .ignored),
        ], named: "service_gantry", extensions: false)

    static let gantry: Shape = .object(
        [
            "drift": Field(
                driftPolicy.or(
                    .object(
                        [
                            "policy": Field(driftPolicy, "What to do about changes"),
                            "ignore": Field(texts, "Patterns of paths whose changes are nobody's business"),
                        ], extensions: false)), "What to do when a container was changed behind the engine's back",
                .ignored),
            "revisions": Field(
                .integer(1...100), "How many applied revisions of the stack are kept, 10 by default", .ignored),
        ], named: "gantry", extensions: false)

    static let driftPolicy: Shape = .word("ignore", "warn", "repair")

    static let rollout: Shape = .object(
        [
            "min_healthy_time": Field(duration, "How long a new container must stay healthy before it counts"),
            "healthy_deadline": Field(duration, "How long a new container may take to become healthy"),
            "progress_deadline": Field(duration, "How long the rollout may go without progress before it has failed"),
            "drain": Field(duration, "How long an old container keeps its open connections before it is stopped"),
            "canary": Field(.integer(0...Int64.max), "How many new containers go first and wait for promotion"),
            "auto_promote": Field(.boolean, "Whether healthy canaries are promoted without being asked"),
            "auto_rollback": Field(.boolean, "Whether a failed rollout goes back to the containers before it"),
        ], named: "rollout", extensions: false)

    static let reload: Shape = .object(
        Shape.Object(
            name: "reload",
            fields: [
                "signal": Field(.string, "Signal to send to the container's first process, such as SIGHUP"),
                "command": Field(.string.or(texts), "Command to run in the container"),
            ], exactlyOne: ["command", "signal"], allowsExtensions: false))

    static let duration: Shape = .text(
        Shape.Pattern(
            noun: "a duration", expression: "^(0|(([0-9]+\\.?[0-9]*|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w))+)$",
            hint: "write numbers with us, ms, s, m, h, d or w, for example \"1m30s\"",
            accepts: { parseDuration($0) != nil })
    )
    .named("duration", "A length of time, such as `1m30s`")
}
