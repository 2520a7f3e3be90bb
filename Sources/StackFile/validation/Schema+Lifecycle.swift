extension Schema {
    /// When a service runs.
    static let serviceLifecycle: [String: Field] = [
        "depends_on": Field(stringList.or(resources(dependency)), "Services that must be up first"),
        "deploy": Field(deploy.orNull, "Replicas, resources, and how updates go"),
        "develop": Field(develop.orNull, "What to do when source files change"),
        // compose-go has applied it before its schema is looked at, so that it takes `x-…` here.
        "extends": Field(
            .string.or(
                .object(
                    [
                        "service": Field(.string, "Name of the service to start from"),
                        "file": Field(.string, "File that has the service; this one when missing"),
                    ], required: ["service"])), "Another service to start from, whose keys this one overrides"),
        "healthcheck": Field(healthcheck, "How to find out whether a container works"),
        "profiles": Field(mergedList, "Profiles of which one must be enabled for the service to exist"),
        "pre_start": Field(.list(preStartHook), "Containers that run to their end before the service starts"),
        "post_start": Field(.list(hook), "Commands to run in each container after its start"),
        "pre_stop": Field(.list(hook), "Commands to run in each container before it is stopped"),
        "restart": Field(
            .string, "When an ended container is started again: no, always, on-failure[:N], unless-stopped"),
        "scale": Field(.integer, "How many containers run, 1 by default"),
        "stop_grace_period": Field(.string, "How long a container has to stop before it is killed, 10s by default"),
        "stop_signal": Field(.string, "Signal that asks a container to stop, SIGTERM by default"),
    ]

    static let dependency: Shape = .object(
        [
            "condition": Field(
                .word("service_started", "service_healthy", "service_completed_successfully"),
                "What to wait for: its start, its health, or its successful end"),
            "restart": Field(.boolean, "Whether this service is restarted when the other one is"),
            "required": Field(.scalar(.boolean), "Whether it is an error when the other one is missing or fails"),
        ], named: "dependency", required: ["condition"])

    static let healthcheck: Shape = .object(
        [
            "test": Field(.string.or(texts), "A shell command, or a list that starts with CMD, CMD-SHELL or NONE"),
            "interval": Field(.string, "Time between checks, 30s by default"),
            "timeout": Field(.string, "How long a check may take, 30s by default"),
            "retries": Field(.number, "How many failures in a row make a container unhealthy, 3 by default"),
            "start_period": Field(.string, "Time after the start in which failures do not count"),
            "start_interval": Field(.string, "Time between checks within `start_period`, 5s by default"),
            "disable": Field(.boolean, "Whether the image's own check is turned off"),
        ], named: "healthcheck")

    private static let hookFields: [String: Field] = [
        "command": Field(command, "Command to run"),
        "user": Field(.string, "User to run it as; by default the service's"),
        "privileged": Field(.boolean, "Whether it gets all rights of the host's root user"),
        "working_dir": Field(.string, "Folder to run it in; by default the service's"),
        "environment": Field(uniqueListOrMap, "Environment variables besides the service's"),
    ]

    static let hook: Shape = .object(hookFields, named: "hook", required: ["command"])

    static let preStartHook: Shape = {
        var fields = hookFields
        fields["image"] = Field(.string, "Image to run it from; by default the service's")
        fields["per_replica"] = Field(.boolean, "Whether it runs for each container instead of once")
        return .object(fields, named: "pre_start_hook")
    }()

    static let develop: Shape = .object(
        ["watch": Field(.list(watch), "Source files to watch and what to do when they change")], named: "develop")

    private static let watch: Shape = .object(
        [
            "path": Field(.string, "File or folder to watch"),
            "target": Field(.string, "Where in the container changed files go"),
            "action": Field(
                .word("rebuild", "sync", "restart", "sync+restart", "sync+exec"), "What to do when files change"),
            "include": Field(stringOrUniqueList, "Patterns of files to watch; all when missing"),
            "ignore": Field(stringOrUniqueList, "Patterns of files not to watch"),
            "exec": Field(hook, "Command to run in the container after files were copied"),
            "initial_sync": Field(.scalar(.boolean), "Whether all files are copied when watching starts"),
        ], required: ["action", "path"])
}
