import StackModel

/// `x-gantry`: what a stack asks of Gantry beyond the Compose Specification. Unlike other `x-…`, its keys are checked.
extension Schema {
    static let serviceGantry: Shape = .object(
        [
            "rollout": Field(rollout, "How containers are replaced by newer ones"),
            "reload": Field(
                reload, "What to do when the content of a config or secret changes, instead of replacing containers"),
            "session_affinity": Field(
                .word("none", "client_ip"), "Whether a client's connections keep going to the same container"),
            "schedule": Field(schedule, "When the service is started, as it is not when the stack is"),
            "drift": Field(
                driftPolicy.or(.object(driftFields, named: "service_drift", extensions: false)),
                "What to do when a container was changed behind the engine's back"),
        ], named: "service_gantry", extensions: false)

    static let gantry: Shape = .object(
        [
            "drift": Field(
                driftPolicy.or(
                    .object(
                        driftFields.merging([
                            "ignore": Field(
                                texts, "Patterns of what is nobody's business: an address, optionally with a class")
                        ]) { own, _ in own }, named: "drift", extensions: false)),
                "What to do when something of the stack was changed behind the engine's back"),
            "revisions": Field(
                .integer(1...100), "How many applied revisions of the stack are kept, 10 by default"),
        ], named: "gantry", extensions: false)

    static let driftPolicy: Shape = .word("ignore", "warn", "repair")

    private static let driftFields: [String: Field] = {
        var fields = [
            "policy": Field(driftPolicy, "What to do about the classes that are not named here"),
            "paused_max": Field(duration, "How long a container may be frozen by others before it is let go"),
        ]
        for kind in DriftClass.allCases {
            // Nothing is ever done by itself about the others.
            let shape = kind.isRepairable ? driftPolicy : .word("ignore", "warn")
            fields[kind.rawValue] = Field(shape, driftDoc(kind))
        }
        return fields
    }()

    private static func driftDoc(_ kind: DriftClass) -> String {
        switch kind {
        case .exited: "A container has ended and is to run"
        case .deleted: "A container or its files were removed by others"
        case .paused: "A container's processes were frozen by others"
        case .unhealthy: "A container is unhealthy"
        case .image: "An image's name leads to another image now"
        case .stack: "The stack file says something else than was applied"
        case .content: "The file of a config or secret has another content now"
        case .limits: "Limits were changed in a container's cgroups"
        case .network: "A bridge, interface, address or route is missing or down"
        case .firewall: "The firewall table is missing or was changed"
        case .dns: "A container's resolver is gone"
        case .volume: "A volume's folder is gone"
        case .volumeOptions: "A volume was made with other options"
        case .orphan: "A container belongs to a service that the stack does not have"
        case .foreign: "Somebody else is on a network of the stack, or has one of its names"
        case .inside: "Files or processes of a container are not its own"
        case .sysctl: "Kernel parameters of a bridge or an interface were changed"
        }
    }

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
