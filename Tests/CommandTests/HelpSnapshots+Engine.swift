let engineHelp: [String: String] = [
    "system": """
    OVERVIEW: Show what the engine takes on the disk, and free some.

    USAGE: gantry system <command> [<global options>] [<options>]

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      df                      Show what images, containers and volumes take.
      prune                   Remove what nothing uses: containers, networks,
                              images.

      See 'system help <subcommand>' for detailed help.

    """,
    "system df": """
    OVERVIEW: Show what images, containers and volumes take.

    USAGE: gantry system df [<global options>] [<options>]

    OPTIONS:
      -v, --verbose           Each image, container and volume.
      --format <format>       table, json, or a Go template of the fields.
                              (default: table)

    """,
    "system prune": """
    OVERVIEW: Remove what nothing uses: containers, networks, images.

    Containers and networks of a stack that is up belong to it and stay, also those
    that have ended.

    USAGE: gantry system prune [<global options>] [<options>]

    OPTIONS:
      -a, --all               All images that no container uses, not only those
                              without a name.
      --volumes               Also anonymous volumes.
      -f, --force             Do not ask.
      --filter <filter>       label=KEY[=VALUE], label!=KEY[=VALUE] or until=AGE;
                              may be repeated.

    """,
    "doctor": """
    OVERVIEW: Check the host, and say how to mend what is wrong.

    Changes nothing. Ends with 0 when nothing prevents containers from running and
    being reached, and with 1 when something does. Works with and without an
    engine, and without root, which sees less.

    USAGE: gantry doctor [<global options>] [<options>]

    OPTIONS:
      --format <format>       Form of the output. (values: table, json; default:
                              table)
      -q, --quiet             Only what is wrong.
      --no-network            Ask no resolver.

    """,
    "version": """
    OVERVIEW: Show the version of this program, and of the engine when it runs.

    USAGE: gantry version [<global options>] [<options>]

    OPTIONS:
      --format <format>       Form of the output. (values: text, json; default:
                              text)
      --client                Only this program's.
      --short                 Only this program's number.

    """,
]
