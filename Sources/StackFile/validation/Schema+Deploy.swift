extension Schema {
    static let deploy: Shape = .object(
        [
            "mode": Field(.string, "replicated, global, replicated-job or global-job"),
            "endpoint_mode": Field(.string, "How clients find replicas: vip by one address, dnsrr by all of theirs"),
            "replicas": Field(.integer, "How many containers run, 1 by default"),
            "labels": Field(listOrMap, "Labels of the service, not of its containers", .ignored),
            "update_config": Field(updateConfig, "How containers are replaced by newer ones"),
            "rollback_config": Field(updateConfig, "How containers are replaced when an update is undone"),
            "resources": Field(deployResources, "What a container may use and what is kept for it"),
            "restart_policy": Field(restartPolicy, "When an ended container is started again; wins over `restart`"),
            "placement": Field(placement, "On which hosts containers may run", .ignored),
        ], named: "deploy")

    private static let deployResources: Shape = .object([
        "limits": Field(
            .object([
                "cpus": Field(.number, "How many CPUs a container may use, such as 0.5"),
                "memory": Field(.string, "Memory a container may use, such as 512m"),
                "pids": Field(.integer, "How many processes a container may have"),
            ]), "What a container may use at most"),
        "reservations": Field(
            .object([
                "cpus": Field(.number, "How many CPUs are kept for a container", .ignored),
                "memory": Field(.string, "Memory kept for a container when the host runs short"),
                "generic_resources": Field(
                    .list(genericResource), "Countable resources that the host must have", .ignored),
                "devices": Field(.list(deviceRequest), "Devices that a container needs", .ignored),
            ]), "What is kept for a container"),
    ])

    private static let genericResource: Shape = .object([
        "discrete_resource_spec": Field(
            .object([
                "kind": Field(.string, "What the resource is called"), "value": Field(.number, "How many are needed"),
            ]), "One resource that is counted")
    ])

    private static let restartPolicy: Shape = .object([
        "condition": Field(.string, "none, on-failure or any"),
        "delay": Field(.string, "Time before a restart", .ignored),
        "max_attempts": Field(.integer, "How many restarts are tried; without end when missing"),
        "window": Field(.string, "How long a container must run for its restart to count as a success", .ignored),
    ])

    private static let placement: Shape = .object([
        "constraints": Field(texts, "Conditions that a host must fulfil, such as node.labels.disk==ssd"),
        "preferences": Field(
            .list(.object(["spread": Field(.string, "Label of hosts over whose values containers are spread")])),
            "How containers are spread over hosts"),
        "max_replicas_per_node": Field(.integer, "How many containers may run on one host"),
    ])

    static let updateConfig: Shape = .object(
        [
            "parallelism": Field(.integer, "How many containers are replaced at a time; 0 for all"),
            "delay": Field(.string, "Time between two groups of containers"),
            "failure_action": Field(.string, "What to do when it fails: continue, rollback or pause"),
            "monitor": Field(.string, "How long a new container is watched for failure"),
            "max_failure_ratio": Field(.number, "Share of new containers that may fail"),
            "order": Field(
                .word("start-first", "stop-first"), "Whether the new container starts before the old one stops"),
        ], named: "update_config")

    static let build: Shape = .object(
        [
            "context": Field(.string, "Folder or Git URL whose files the build sees"),
            "dockerfile": Field(.string, "The Dockerfile, relative to the context"),
            "dockerfile_inline": Field(.string, "The Dockerfile's text itself"),
            "entitlements": Field(texts, "Rights the build needs, such as network.host"),
            "args": Field(listOrMap, "Build arguments; a name without value is taken from the shell"),
            // The reference has no plain text here, for all that its description says.
            "ssh": Field(uniqueListOrMap, "SSH agents and keys for the build, as `default` or `ID=PATH`"),
            "labels": Field(listOrMap, "Labels of the image"),
            "cache_from": Field(texts, "Where the build may take layers from"),
            "cache_to": Field(texts, "Where the build leaves layers for others"),
            "no_cache": Field(.boolean, "Whether layers of earlier builds are not used"),
            "no_cache_filter": Field(stringOrUniqueList, "Stages that do not use layers of earlier builds"),
            "additional_contexts": Field(listOrMap, "Further contexts by name: folders, URLs, images or services"),
            "network": Field(.string, "Network of the build's commands: default, none, host, or a name"),
            "provenance": Field(.boolean, "Whether the image gets a provenance attestation"),
            "sbom": Field(.boolean, "Whether the image gets a list of what is in it"),
            "pull": Field(.boolean, "Whether base images are pulled even when they are there"),
            "target": Field(.string, "Stage of the Dockerfile to build"),
            "shm_size": Field(.integer, "Size of /dev/shm for the build's commands, such as 64m"),
            "extra_hosts": Field(extraHosts, "Names for /etc/hosts of the build's commands"),
            "isolation": Field(.string, "How the build's commands are isolated, on Windows"),
            "privileged": Field(.boolean, "Whether the build's commands get all rights of the host's root user"),
            "secrets": Field(.list(.string.or(fileMount)), "Secrets that the build's commands may see"),
            "tags": Field(texts, "Further names of the image"),
            "ulimits": Field(ulimits, "Limits of the build's processes"),
            "platforms": Field(texts, "Platforms to build for, such as linux/arm64"),
        ], named: "build")
}
