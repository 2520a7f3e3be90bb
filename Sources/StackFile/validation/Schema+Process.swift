extension Schema {
    /// What runs.
    static let serviceProcess: [String: Field] = [
        "image": Field(.string, "Image that containers start from, such as nginx:1.27"),
        "build": Field(.string.or(build), "Folder that the image is built from, or how to build it"),
        "command": Field(command, "Arguments of the entrypoint, in place of the image's"),
        "entrypoint": Field(command, "Program to run, in place of the image's; the image's command is dropped then"),
        "environment": Field(listOrMap, "Environment variables; a name without value is taken from the shell"),
        "env_file": Field(
            .string.or(.list(.string.or(envFile))), "Files with environment variables; `environment` wins over them"),
        "init": Field(.boolean, "Whether a small init is process 1, which passes signals on and reaps orphans"),
        "stdin_open": Field(.boolean, "Whether standard input stays open"),
        "tty": Field(.boolean, "Whether the program gets a terminal"),
        "attach": Field(.boolean, "Whether `up` shows the service's output", .ignored),
        "working_dir": Field(.string, "Folder in the container that the program starts in"),
        "platform": Field(.string, "Platform of the image, such as linux/arm64", .ignored),
        "runtime": Field(.string, "OCI runtime that runs containers", .ignored),
        "isolation": Field(.string, "How containers are isolated, on Windows", .ignoredUnless(["default"])),
        "credential_spec": Field(credentialSpec, "Credentials of a managed service account, on Windows", .ignored),
        "pull_policy": Field(
            .text(pullPolicy), "When the image is pulled: always, never, missing, build, daily, weekly or every_<time>",
            .ignoredUnless(["missing", "if_not_present", "never"])),
        "pull_refresh_after": Field(.string, "Age at which the image is pulled anew", .ignored),
        "provider": Field(provider, "Program outside of containers that provides the service", .ignored),
        "use_api_socket": Field(
            .scalar(.boolean), "Whether the container gets at the engine's socket", .ignoredUnless(["false"])),
    ]

    /// As whom and with which rights.
    static let serviceIdentity: [String: Field] = [
        "user": Field(.string, "User that the program runs as, `name` or `uid:gid`"),
        "group_add": Field(
            // `[44, "44"]` is taken: a number and a text.
            .list(.scalar([.string, .number]), repeats: .merged), "Further groups of the user, by name or number"),
        "hostname": Field(.string, "Host name within containers"),
        "domainname": Field(.string, "Domain name within containers"),
        "container_name": Field(.text(containerName), "Name of the only container, in place of a numbered one"),
        "labels": Field(listOrMap, "Labels of containers"),
        "label_file": Field(
            .string.or(texts), "Files with labels; `labels` wins over them"),
        "annotations": Field(listOrMap, "OCI annotations of containers", .ignored),
        "read_only": Field(.boolean, "Whether the root file system cannot be written"),
        "privileged": Field(.boolean, "Whether containers get all rights of the host's root user"),
        "cap_add": Field(mergedList, "Capabilities to add, such as NET_ADMIN"),
        "cap_drop": Field(mergedList, "Capabilities to drop, such as ALL"),
        "security_opt": Field(stringList, "Security options, such as no-new-privileges:true"),
        "userns_mode": Field(.string, "User namespace, `host` or none of its own", .ignoredUnless(["host", ""])),
        "uts": Field(.string, "UTS namespace, `host` or one of its own"),
        "pid": Field(.string.orNull, "Process namespace: `host`, `service:NAME` or `container:NAME`"),
        "ipc": Field(.string, "IPC namespace: private, shareable, host, none, `service:NAME` or `container:NAME`"),
        "cgroup": Field(.word("host", "private"), "Control group namespace"),
        "cgroup_parent": Field(.string, "Control group that containers go under"),
        "sysctls": Field(listOrMap, "Kernel settings within containers, such as net.core.somaxconn"),
        "oom_kill_disable": Field(
            .boolean, "Whether the kernel spares containers when memory runs out"),
        "oom_score_adj": Field(
            .integer(-1000...1000), "How readily the kernel kills containers when memory runs out, -1000 to 1000"),
    ]

    static let envFile: Shape = .object(
        [
            "path": Field(.string, "The file"),
            "format": Field(.string, "`raw` to take values as they stand, without quotes and variables"),
            "required": Field(.boolean, "Whether it is an error when the file is missing, true by default"),
        ], named: "env_file", required: ["path"], extensions: false)

    static let credentialSpec: Shape = .object([
        "config": Field(.string, "Config that has the credentials"),
        "file": Field(.string, "File that has the credentials"),
        "registry": Field(.string, "Registry value that has the credentials"),
    ])

    static let provider: Shape = {
        let one: Shape.Scalars = [.string, .number, .boolean]
        return .object(
            [
                "type": Field(.string, "Name of the program"),
                "options": Field(.map(.scalar(one).or(.list(.scalar(one)))), "Options for the program, by name"),
            ], required: ["type"])
    }()

    /// The reference's pattern has no anchors and takes `-xy`, which the engine then refuses.
    static let containerName = Shape.Pattern(
        noun: "a container name", expression: "^[a-zA-Z0-9][a-zA-Z0-9_.-]+$",
        hint: "use two or more letters, digits, '.', '_' and '-', starting with a letter or a digit",
        accepts: { $0.utf8.count > 1 && isResourceName($0) && !".-_".contains($0.first ?? "-") })

    /// The reference's pattern has no anchors, and what it takes besides, such as `alwayss`, means nothing.
    static let pullPolicy = Shape.Pattern(
        noun: "a pull policy",
        expression: "^(always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+)$",
        hint: "use always, never, missing, build, refresh, daily, weekly or every_<time> such as every_12h",
        accepts: { text in
            let words = ["always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"]
            if words.contains(text) { return true }
            guard text.hasPrefix("every_"), text.utf8.count > 6 else { return false }
            var digits = 0
            for byte in text.utf8.dropFirst(6) {
                if (0x30...0x39).contains(byte) {
                    digits += 1
                } else if digits > 0, "wdhms".utf8.contains(byte) {
                    digits = 0
                } else {
                    return false
                }
            }
            return digits == 0
        })
}
