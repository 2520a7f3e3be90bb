let engineHelp: [String: String] = [
    "system": """
    OVERVIEW: Show what the engine takes on the disk, and free some.

    USAGE: gantry system <command> [<global options>] [<options>]

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      df                      Show what images, containers, volumes and builds take.
      prune                   Remove what nothing uses: containers, networks,
                              images, build cache.

      See 'system help <subcommand>' for detailed help.

    """,
    "system df": """
    OVERVIEW: Show what images, containers, volumes and builds take.

    USAGE: gantry system df [<global options>] [<options>]

    OPTIONS:
      -v, --verbose           Each image, container and volume.
      --format <format>       table, json, or a Go template of the fields.
                              (default: table)

    """,
    "system prune": """
    OVERVIEW: Remove what nothing uses: containers, networks, images, build cache.

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
    "builder": """
    OVERVIEW: Build images, and remove what builds keep.

    USAGE: gantry builder <command> [<global options>] [<options>]

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      build                   Build an image from a Dockerfile.
      prune                   Forget what builds keep for later ones.

      See 'builder help <subcommand>' for detailed help.

    """,
    "builder build": """
    OVERVIEW: Build an image from a Dockerfile.

    USAGE: gantry image build [<global options>] [<options>] <path> | <url> | -

    ARGUMENTS:
      <context>               Folder, URL, or - for standard input.

    OPTIONS:
      --build-arg <build-arg> Build argument, NAME=VALUE or NAME from the
                              environment; repeatable.
      --no-cache              Do not use what earlier builds made.
      --no-cache-filter <no-cache-filter>
                              Stage whose steps are carried out anew; repeatable.
      --pull                  Look for newer base images.
      --push                  Send the images to their registries.
      --platform <platform>   OS/ARCHITECTURE to build for: this machine's.
      --secret <secret>       Secret for RUN, id=NAME[,src=FILE|,env=VARIABLE];
                              repeatable.
      --ssh <ssh>             SSH agent for RUN, default or NAME=SOCKET; repeatable.
      --add-host <add-host>   Line for /etc/hosts of RUN, NAME=ADDRESS; repeatable.
      --network <network>     Network of RUN: default, none, host or a name.
      --shm-size <shm-size>   Size of /dev/shm for RUN, such as 64m.
      --ulimit <ulimit>       Limit for RUN, TYPE=SOFT[:HARD]; repeatable.
      --build-context <build-context>
                              Further context, NAME=PATH or
                              NAME=docker-image://IMAGE; repeatable.
      --cache-from <cache-from>
                              Where steps may come from: an image's name,
                              type=registry,ref=NAME or type=local,src=FOLDER;
                              repeatable.
      --cache-to <cache-to>   Where steps are left for others:
                              type=registry,ref=NAME or type=local,dest=FOLDER;
                              repeatable.
      --allow <allow>         What RUN may ask for: network.host,
                              security.insecure; repeatable.
      --check                 Only check the Dockerfile.
      --print                 Only show what would be built, as JSON.
      -q, --quiet             Say only the ids of images.
      -t, --tag <tag>         Name of the image, NAME[:TAG]; repeatable.
      --target <target>       Stage to build instead of the last.
      --label <label>         Label of the image, NAME=VALUE; repeatable.
      --iidfile <iidfile>     File to write the image's id to.
      --metadata-file <metadata-file>
                              File to write the image's id and names to, as JSON.
      -f, --file <file>       The Dockerfile; - is standard input.

    """,
    "builder prune": """
    OVERVIEW: Forget what builds keep for later ones.

    USAGE: gantry builder prune [<global options>] [<options>]

    OPTIONS:
      -a, --all               Also what images share, and folders of cache mounts.
      -f, --force             Do not ask.
      --filter <filter>       until=AGE: only what was not used for so long.
      --keep-storage <keep-storage>
                              Size that may stay, such as 10g.

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
