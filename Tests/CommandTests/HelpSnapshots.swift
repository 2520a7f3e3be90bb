/// Help of every command at 80 columns, by name; "" is the program's own. Written by refresh_help.py.
let helpSnapshots = stackHelp.merging(containersHelp) { $1 }.merging(networksHelp) { $1 }
    .merging(imagesHelp) { $1 }.merging(engineHelp) { $1 }.merging(jobsHelp) { $1 }.merging(updatesHelp) { $1 }

/// What the help of a command without subcommands ends with; left out below.
let helpEnding = """
      -h, --help              Show help information.

    """

let stackHelp: [String: String] = [
    "": """
    OVERVIEW: Run stacks of containers from a Compose file, and keep them running.

    Global options, before or after the command:
      -f, --file <file>           Stack file; repeat to override
      -p, --project-name <name>   Project name
      --project-directory <dir>   Folder that relative paths start from
      --profile <profile>         Profile to enable; repeatable
      --env-file <file>           Variables for the stack file; repeatable
      -H, --host <host>           The engine: unix:///path, ssh://user@machine,
                                  tcp://machine:port
      --tlsverify                 Talk to tcp:// hosts by TLS (DOCKER_TLS_VERIFY);
                                  --tlscacert, --tlscert, --tlskey <file>
      --progress <mode>           auto, tty, plain, quiet, json
      --ansi <when>               auto, always, never (also NO_COLOR)
      --strict                    Unsupported parts of the file are errors
      --all-resources             Keep what no service uses

    The host is taken from --host, GANTRY_HOST or DOCKER_HOST, and is
    unix:///run/gantry.sock otherwise, or for a user who is not root
    unix://$XDG_RUNTIME_DIR/gantry/gantry.sock. The engine is started when a
    command needs it and none answers; GANTRY_NO_AUTOSTART=1 prevents that.

    USAGE: gantry [<global options>] <command> [<options>]

    OPTIONS:
      --version               Show the version.
      -h, --help              Show help information.

    STACK SUBCOMMANDS:
      up                      Create and start a stack, or bring it up to date.
      down                    Stop and remove a stack's containers and networks.
      watch                   Act on changes of files as the services' watch rules
                              say.
      wait                    Wait until services are where they should be, or have
                              ended.
      config, convert         Check the stack file, and show it as it is understood.
      graph                   Draw the stack: who waits for whom, who is reached
                              from where.
      dashboard               Watch stacks in a browser: graph, rollouts, logs,
                              load, drift.
      scale                   Set the number of containers of services.
      ls                      List stacks.
      schema                  Print the JSON Schema of stack files, for editors.

    UPDATES SUBCOMMANDS:
      plan                    Show what `apply` would change, and why.
      show                    Show a saved plan, and whether it can still be
                              applied.
      apply                   Carry out a saved plan, or plan and apply the stack
                              file.
      reconcile               Plan, apply, and wait until the stack has converged.
      drift                   Show what is not as it was applied, and what is done
                              about it.
      history                 Show a stack's revisions, or how an image was made;
                              newest first.
      rollback                Return a stack to what it was before.
      rollout                 Look at an update that is under way, and steer it.
      promote                 Go on with an update whose canaries are found good.
      abort                   End an update that is under way, and return to the
                              last stable revision.

    CONTAINERS SUBCOMMANDS:
      ps                      List a stack's containers.
      logs                    Show the output of containers.
      exec                    Run a command in a running container.
      run                     Run a one-off command in a new container of a service.
      start                   Start stopped containers.
      stop                    Stop containers, and keep them stopped.
      restart                 Stop and start containers.
      kill                    Send a signal to containers.
      port                    Show where the ports of a service or container are
                              published.
      cp                      Copy files and folders into containers, and out of
                              them.
      diff                    Show how the stack file differs from what is applied,
                              or a container from its image.
      export                  Write a container's files, without its volumes, as a
                              tar.
      commit                  Make an image of a container's changes.

    JOBS SUBCOMMANDS:
      job                     List, run and suspend what runs by the clock.

    NETWORKS SUBCOMMANDS:
      network                 Make, list, connect and remove networks.

    VOLUMES SUBCOMMANDS:
      volume                  Make, list and remove volumes.

    IMAGES SUBCOMMANDS:
      build                   Build the images of a stack, or one image from a
                              folder.
      pull                    Get an image from its registry.
      push                    Send an image to its registry.
      load                    Load images from an archive: of `docker save`, or an
                              OCI layout.
      save                    Save images in one archive.
      import                  Make an image from the tar of a root file system.
      images                  List the engine's images.
      rmi                     Remove images, or names of images.
      tag                     Give an image one more name.
      image                   List, move, check and remove images.
      login                   Log in to a registry, and remember it.
      logout                  Forget the login to a registry.

    ENGINE SUBCOMMANDS:
      engine                  Run the engine in the foreground, or stop a running
                              one
      system                  Show what the engine takes on the disk, and free some.
      builder                 Build images, and remove what builds keep.
      doctor                  Check the host, and say how to mend what is wrong.
      version                 Show the version of this program, and of the engine
                              when it runs.

      See 'gantry help <subcommand>' for detailed help.

    """,
    "up": """
    OVERVIEW: Create and start a stack, or bring it up to date.

    USAGE: gantry up [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services to start, with what they depend on; all when
                              none is named.

    OPTIONS:
      -d, --detach            Do not stay and show logs.
      -w, --watch             Stay, and act on changes of files as the watch rules
                              say.
      --wait                  Wait until services are running and healthy; implies
                              --detach.
      --wait-timeout <wait-timeout>
                              How long to wait: seconds, or as in 1m30s.
      --scale <scale>         Number of containers of a service, SERVICE=N; may be
                              repeated.
      --force-recreate        Replace containers even when nothing has changed.
      --no-recreate           Keep containers even when something has changed.
      --remove-orphans        Remove containers of services that the stack file no
                              longer has.
      --allow-destroy <allow-destroy>
                              What may be replaced although its data is lost, as
                              volume.NAME; may be repeated.
      --recreate-volume <recreate-volume>
                              Begin anew with an empty volume where this one is
                              gone; may be repeated.
      --no-start              Create containers, but do not start them.
      --build                 Build images before starting containers.
      --no-build              Do not build an image, even when it is missing.
      --no-deps               Leave the services alone that the named ones depend
                              on.
      -t, --timeout <timeout> Seconds that containers get to stop.
      --no-color              No colours in logs.
      --no-log-prefix         No names before the lines of logs.
      --timestamps            Times before the lines of logs.
      --report <kind=file>    Write a report at the end: junit, codequality,
                              dotenv, terraform, markdown or json; may be repeated.
      --lock-timeout <duration>
                              How long to wait for another command on the same
                              stack, 0 or as in 15m. (default: as long as it takes;
                              with CI set, 10m)

    """,
    "down": """
    OVERVIEW: Stop and remove a stack's containers and networks.

    USAGE: gantry down [<global options>] [<options>]

    OPTIONS:
      -v, --volumes           Remove its named and anonymous volumes too.
      --remove-orphans        Remove containers of services that the stack file no
                              longer has.
      -t, --timeout <timeout> Seconds that containers get to stop.

    """,
    "watch": """
    OVERVIEW: Act on changes of files as the services' watch rules say.

    The rules are those of `develop.watch` in the stack file: changed files are
    copied into the containers, services are built, replaced or restarted, commands
    run.

    USAGE: gantry watch [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services to watch, with what they depend on; all when
                              none is named.

    OPTIONS:
      --no-up                 Do not start the services before watching.
      --prune/--no-prune      Remove images that have lost their name to rebuilt
                              ones. (default: --prune)
      --quiet                 Do not show how builds go on.

    """,
    "wait": """
    OVERVIEW: Wait until services are where they should be, or have ended.

    With services and without --for, as Docker Compose: until their
    containers have ended; each exit code is printed, and the last one is
    the command's. Without services it is --for converged.

    USAGE: gantry wait [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services; all when none is named.

    OPTIONS:
      --for <for>             What for: running, healthy, completed (ended with 0),
                              converged. (values: running, healthy, completed,
                              converged)
      --timeout <duration>    How long to wait: seconds, or as in 1m30s.
      --down-project          Take the stack down when the containers have ended.
      --report <kind=file>    Write a report at the end: junit, codequality,
                              dotenv, terraform, markdown or json; may be repeated.
      --lock-timeout <duration>
                              How long to wait for another command on the same
                              stack, 0 or as in 15m. (default: as long as it takes;
                              with CI set, 10m)

    """,
    "config": """
    OVERVIEW: Check the stack file, and show it as it is understood.

    Of several lists one is printed, one entry a line. With --quiet, --format
    says how errors and warnings are printed on standard output, for other
    programs: text, json, github or sarif.

    USAGE: gantry config [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services to show, with what they depend on; all when
                              none is named.

    OPTIONS:
      --no-interpolate        Leave variables as they are written.
      --no-normalize          Leave out what is implied: the default network, names
                              of resources, dependencies behind links.
      --no-path-resolution    Leave relative paths relative.
      --no-consistency        Do not check that what is referred to exists and that
                              values fit together.
      --no-env-resolution     Keep env_file and label_file instead of reading them.
      --resolve-image-digests Name images by the digests that the engine has for
                              them.
      --lock-image-digests    Print an override file that names images by their
                              digests, and nothing else.
      --services              Only names of services.
      --volumes               Only names of volumes.
      --networks              Only names of networks.
      --models                Only models.
      --images                Only images.
      --profiles              Only profiles.
      --variables             Only variables that the file takes, with their
                              defaults.
      --environment           Only what variables are substituted from.
      --hash <list>           Only hashes of services, as containers are labelled:
                              '*' or names.
      --format <format>       Form of the output: yaml, json; with --quiet: text,
                              json, github, sarif. (default: yaml)
      --explain <path>        Say where the value at a path comes from, such as
                              services.web.ports[0]; may be repeated.
      -q, --quiet             Only check.
      -o, --output <output>   File to write to instead of standard output.

    """,
    "graph": """
    OVERVIEW: Draw the stack: who waits for whom, who is reached from where.

    With what runs at the moment, where an engine answers. SVG is a picture as it
    is; GitHub and GitLab draw Mermaid in Markdown; DOT is for Graphviz.

    USAGE: gantry graph [<global options>] [<options>]

    OPTIONS:
      --format <format>       dot, mermaid or svg; otherwise what the ending of
                              --output says, or dot. (values: dot, mermaid, svg)
      -o, --output <output>   Write it to this file.
      --no-live               What the stack file says alone.

    """,
    "dashboard": """
    OVERVIEW: Watch stacks in a browser: graph, rollouts, logs, load, drift.

    Serves a page at 127.0.0.1 until it is interrupted. The printed address works
    once: whoever opens it first sees the page, and nobody else does. The page
    only reads; what changes something is left to the command line.

    USAGE: gantry dashboard [<global options>] [<options>]

    OPTIONS:
      --port <port>           Port to listen on (default: a free one).
      --no-open               Do not open a browser.

    """,
    "scale": """
    OVERVIEW: Set the number of containers of services.

    USAGE: gantry scale [<global options>] [<options>] <service>=<n> ...

    ARGUMENTS:
      <scales>                SERVICE=N.

    OPTIONS:
      --no-deps               Leave the services alone that the named ones depend
                              on.

    """,
    "ls": """
    OVERVIEW: List stacks.

    USAGE: gantry ls [<global options>] [<options>]

    OPTIONS:
      -a, --all               Also those of which nothing runs.
      -q, --quiet             Only names.
      --format <format>       Form of the output. (values: table, json; default:
                              table)

    """,
    "schema": """
    OVERVIEW: Print the JSON Schema of stack files, for editors.

    USAGE: gantry schema [<global options>]

    OPTIONS:

    """,
]
