let containersHelp: [String: String] = [
    "ps": """
    OVERVIEW: List a stack's containers.

    USAGE: gantry ps [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services; all when none is named.

    OPTIONS:
      -a, --all               Also those that do not run.
      -q, --quiet             Only ids.
      --services              Only names of services.
      --no-trunc              Show commands in full length.
      --format <format>       Form of the output. (values: table, json; default:
                              table)

    """,
    "logs": """
    OVERVIEW: Show the output of containers.

    USAGE: gantry logs [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services; all when none is named.

    OPTIONS:
      -f, --follow            Go on with new output, also of containers that start
                              later.
      -n, --tail <tail>       Lines from the end of each log, or all. (default: all)
      -t, --timestamps        Times before the lines.
      --since <since>         Only from this time on: RFC 3339, seconds since 1970,
                              or as in 10m.
      --until <until>         Only up to this time.
      --no-color              No colours.
      --no-log-prefix         No names before the lines.

    """,
    "exec": """
    OVERVIEW: Run a command in a running container.

    USAGE: gantry exec [<global options>] [<options>] <service> <command> ...

    ARGUMENTS:
      <words>                 Service, command and its arguments.

    OPTIONS:
      -d, --detach            Do not wait for it.
      -e, --env <env>         Environment variable, NAME=VALUE; may be repeated.
      -u, --user <user>       User, or USER:GROUP.
      -w, --workdir <workdir> Working directory in the container.
      -T, --no-tty            No terminal, even when there is one here.
      --index <index>         Number of the service's container (default: the
                              lowest that runs).
      --privileged            With all privileges.

    """,
    "run": """
    OVERVIEW: Run a one-off command in a new container of a service.

    USAGE: gantry run [<global options>] [<options>] <service> [<command> ...]

    ARGUMENTS:
      <words>                 Service, and a command instead of the service's.

    OPTIONS:
      --rm                    Remove the container when it ends.
      -d, --detach            Do not wait for it; print its name.
      -e, --env <env>         Environment variable, NAME=VALUE or NAME; may be
                              repeated.
      -u, --user <user>       User, or USER:GROUP.
      -w, --workdir <workdir> Working directory in the container.
      -T, --no-tty            No terminal, even when there is one here.
      -i, --interactive/--no-interactive
                              Give it standard input. (default: -i)
      --entrypoint <entrypoint>
                              Program to run instead of the image's entrypoint.
      --name <name>           Name of the container.
      --no-deps               Do not start the services it depends on.
      --build                 Build the image before the container is made.
      -P, --service-ports     Publish the service's ports.
      -l, --label <label>     Label, NAME=VALUE; may be repeated.

    """,
    "start": """
    OVERVIEW: Start stopped containers.

    USAGE: gantry start [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services; all when none is named.

    OPTIONS:

    """,
    "stop": """
    OVERVIEW: Stop containers, and keep them stopped.

    USAGE: gantry stop [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services; all when none is named.

    OPTIONS:
      -t, --timeout <timeout> Seconds that containers get to stop.

    """,
    "restart": """
    OVERVIEW: Stop and start containers.

    USAGE: gantry restart [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services; all when none is named.

    OPTIONS:
      -t, --timeout <timeout> Seconds that containers get to stop.

    """,
    "kill": """
    OVERVIEW: Send a signal to containers.

    USAGE: gantry kill [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services; all when none is named.

    OPTIONS:
      -s, --signal <signal>   Name or number of the signal. (default: SIGKILL)

    """,
    "port": """
    OVERVIEW: Show where the ports of a service or container are published.

    USAGE: gantry port [<global options>] [<options>] <service or container> [<port>[/<protocol>]]

    ARGUMENTS:
      <name>                  Service, or name or id of a container.
      <port>                  Port in the container; all when missing.

    OPTIONS:
      --index <index>         Number of the service's container.
      --protocol <protocol>   tcp, udp or sctp. (default: tcp)

    """,
    "cp": """
    OVERVIEW: Copy files and folders into containers, and out of them.

    `<folder>/.` is what is in a folder, `<folder>/` can only be a folder, and `-`
    is a tar on standard input or output. A path in a container counts from its
    root. Without --index files go into every container of a service, and come
    from the lowest.

    USAGE: gantry cp [<options>] <container or service>:<path> <path>|-
           gantry cp [<options>] <path>|- <container or service>:<path>

    ARGUMENTS:
      <source>                What to copy.
      <destination>           Where to.

    OPTIONS:
      -a, --archive           Owners: into a container its user, out of it (as
                              root) those in it, with setuid bits.
      -L, --follow-link       Copy what a link of that path leads to.
      -q, --quiet             Say only what went wrong.
      --index <index>         Number of the service's container.
      --all                   Also containers that `run` made.

    """,
    "diff": """
    OVERVIEW: Show how the stack file differs from what is applied, or a container
    from its image.

    Without arguments: the stack file against the applied revision, field by
    field. With a number: that revision against the applied one, or against a
    second. With a container or service: the files that it changed in its image;
    A is added, C changed, D deleted.

    USAGE: gantry diff [<global options>] [<options>] [<container or service> | <revision> [<revision>]]

    ARGUMENTS:
      <subjects>              A container, a service, or numbers of revisions.

    OPTIONS:
      --index <index>         Number of the service's container.
      --detailed-exitcode     Exit code 2 when there are differences.

    """,
    "export": """
    OVERVIEW: Write a container's files, without its volumes, as a tar.

    USAGE: gantry export [<global options>] [<options>] <container or service>

    ARGUMENTS:
      <container>             Container or service.

    OPTIONS:
      -o, --output <output>   File to write instead of standard output.
      --index <index>         Number of the service's container.

    """,
    "commit": """
    OVERVIEW: Make an image of a container's changes.

    USAGE: gantry commit [<global options>] [<options>] <container or service> [<name>[:<tag>]]

    ARGUMENTS:
      <container>             Container or service.
      <image>                 What the image is called; without it has only an id.

    OPTIONS:
      -a, --author <author>   Who made it, for example "Ann <ann@example.org>".
      -m, --message <message> What it is.
      -c, --change <change>   Dockerfile instruction to apply to the image; may be
                              repeated.
      --index <index>         Number of the service's container.
      -p, --pause/--no-pause  Let the container stand still meanwhile. (default: -p)

    """,
]
