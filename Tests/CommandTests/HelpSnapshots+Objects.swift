let objectsHelp: [String: String] = [
    "network": """
    OVERVIEW: Make, list, connect and remove networks.

    USAGE: gantry network <command> [<global options>] [<options>]

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      create                  Make a network; its id is printed.
      rm, remove              Remove networks.
      ls, list                List networks.
      inspect                 Show all of networks, as JSON.
      prune                   Remove the networks that nothing uses.
      connect                 Give a container an interface on a network, while it
                              runs.
      disconnect              Take a container's interface on a network away, while
                              it runs.
      graph                   Show who is on which network, and what is published.

      See 'network help <subcommand>' for detailed help.

    """,
    "network create": """
    OVERVIEW: Make a network; its id is printed.

    USAGE: gantry network create [<global options>] [<options>] <name>

    ARGUMENTS:
      <name>                  Name of the network.

    OPTIONS:
      -d, --driver <driver>   bridge, macvlan or ipvlan. (default: bridge)
      --subnet <subnet>       Subnet in CIDR form; may be repeated, for both
                              families.
      --ip-range <ip-range>   Part of a subnet that containers get addresses from.
      --gateway <gateway>     Address of the host in a subnet.
      --aux-address <aux-address>
                              Address kept free, NAME=ADDRESS; may be repeated.
      --internal              No way out of the host.
      --ipv6/--no-ipv6        Containers get IPv6 addresses. (default: --no-ipv6)
      --ipv4/--no-ipv4        Containers get IPv4 addresses. (default: --ipv4)
      --attachable            Containers of any stack may join.
      -o, --opt <opt>         Option of the driver, KEY=VALUE; may be repeated.
      --label <label>         Label, KEY[=VALUE]; may be repeated.

    """,
    "network rm": """
    OVERVIEW: Remove networks.

    USAGE: gantry network rm [<global options>] [-f] <network> ...

    ARGUMENTS:
      <networks>              Names or ids.

    OPTIONS:
      -f, --force             Also networks of stacks; none that does not exist is
                              an error.

    """,
    "network ls": """
    OVERVIEW: List networks.

    USAGE: gantry network ls [<global options>] [<options>]

    OPTIONS:
      -q, --quiet             Only ids.
      --no-trunc              Show ids in full length.
      -f, --filter <filter>   name=, id=, driver=, label=, type=custom|builtin or
                              dangling=true|false; may be repeated.
      --format <format>       Form of the output. (values: table, json; default:
                              table)

    """,
    "network inspect": """
    OVERVIEW: Show all of networks, as JSON.

    USAGE: gantry network inspect [<global options>] [-f json] <network> ...

    ARGUMENTS:
      <networks>              Names or ids.

    OPTIONS:
      -f, --format <format>   Form of the output: json, on one line. (values: json)

    """,
    "network prune": """
    OVERVIEW: Remove the networks that nothing uses.

    USAGE: gantry network prune [<global options>] [-f] [--filter <key=value>] ...

    OPTIONS:
      -f, --force             Do not ask.
      --filter <filter>       label=KEY[=VALUE], label!=KEY[=VALUE] or until=AGE;
                              may be repeated.

    """,
    "network connect": """
    OVERVIEW: Give a container an interface on a network, while it runs.

    USAGE: gantry network connect [<global options>] [<options>] <network> <container>

    ARGUMENTS:
      <network>               Name or id.
      <container>             Name or id.

    OPTIONS:
      --ip <ip>               IPv4 address; any free one when missing.
      --ip6 <ip6>             IPv6 address; any free one when missing.
      --alias <alias>         Further name on the network; may be repeated.
      --link-local-ip <link-local-ip>
                              Link-local address; may be repeated.
      --driver-opt <driver-opt>
                              Option of the network's driver, KEY=VALUE; may be
                              repeated.
      --gw-priority <gw-priority>
                              The network of the highest gets the default route.
                              (default: 0)

    """,
    "network disconnect": """
    OVERVIEW: Take a container's interface on a network away, while it runs.

    USAGE: gantry network disconnect [<global options>] [-f] <network> <container>

    ARGUMENTS:
      <network>               Name or id.
      <container>             Name or id.

    OPTIONS:
      -f, --force             A container that does not exist is no error.

    """,
    "network graph": """
    OVERVIEW: Show who is on which network, and what is published.

    USAGE: gantry network graph [<global options>] [--format text|dot|json]

    OPTIONS:
      --format <format>       text, dot (for Graphviz) or json. (values: text, dot,
                              json; default: text)

    """,
    "pull": """
    OVERVIEW: Get an image from its registry.

    USAGE: gantry pull [<global options>] [<options>] <image>

    ARGUMENTS:
      <image>                 NAME[:TAG] or NAME@DIGEST.

    OPTIONS:
      -q, --quiet             Say only the image's name.
      --platform <platform>   OS/ARCHITECTURE[/VARIANT] instead of this machine's.

    """,
    "push": """
    OVERVIEW: Send an image to its registry.

    USAGE: gantry push [<global options>] [<options>] <image>

    ARGUMENTS:
      <image>                 NAME[:TAG]; the name says where to.

    OPTIONS:
      -q, --quiet             Say only what went wrong.

    """,
    "load": """
    OVERVIEW: Load images from an archive: of `docker save`, or an OCI layout.

    USAGE: gantry load [<global options>] [<options>]

    OPTIONS:
      -i, --input <input>     File, or folder of an OCI layout, to read instead of
                              standard input.
      -q, --quiet             Say only what went wrong.

    """,
    "save": """
    OVERVIEW: Save images in one archive.

    A name without a tag stands for all of its tags, an id for the image without
    its names.

    USAGE: gantry save [<global options>] [<options>] <image> ...

    ARGUMENTS:
      <images>                Names or ids.

    OPTIONS:
      -o, --output <output>   File to write, or folder for oci-dir, instead of
                              standard output.
      --format <format>       Form of the archive. (values: docker-archive,
                              oci-archive, oci-dir; default: docker-archive)

    """,
    "import": """
    OVERVIEW: Make an image from the tar of a root file system.

    USAGE: gantry import [<global options>] [<options>] <file>|- [<name>]

    ARGUMENTS:
      <file>                  Tar, also packed with gzip or zstd; - is standard
                              input.
      <name>                  NAME[:TAG] of the image.

    OPTIONS:
      -c, --change <change>   Instruction of a Dockerfile, as 'CMD ["sh"]' or 'ENV
                              A=b'; may be repeated.
      -m, --message <message> Comment in the image's history.

    """,
    "images": """
    OVERVIEW: List the engine's images.

    USAGE: gantry images [<global options>] [<options>] [<name>]

    ARGUMENTS:
      <reference>             NAME[:TAG], also with * and ?.

    OPTIONS:
      -a, --all               Also what builds leave between; there is nothing of
                              the kind here.
      -q, --quiet             Only ids.
      --no-trunc              Show ids in full length.
      --digests               Show digests.
      -f, --filter <filter>   reference=, dangling=true|false, label=, before=,
                              since= or until=; may be repeated.
      --format <format>       table, json, or a Go template of the fields.
                              (default: table)

    """,
    "rmi": """
    OVERVIEW: Remove images, or names of images.

    USAGE: gantry rmi [<global options>] [<options>] <image> ...

    ARGUMENTS:
      <images>                Names or ids.

    OPTIONS:
      -f, --force             Also with several names, or used by stopped
                              containers: then only the names go.
      --no-prune              Keep parents without a name; there is nothing of the
                              kind here.

    """,
    "tag": """
    OVERVIEW: Give an image one more name.

    USAGE: gantry tag [<global options>] <image> <new name>

    ARGUMENTS:
      <image>                 Name or id.
      <new name>              NAME[:TAG].

    OPTIONS:

    """,
    "history": """
    OVERVIEW: Show how an image was made, newest step first.

    USAGE: gantry history [<global options>] [<options>] <image>

    ARGUMENTS:
      <image>                 Name or id.

    OPTIONS:
      -q, --quiet             Only ids.
      --no-trunc              Show ids and commands in full length.
      --human <human>         Sizes and ages for people; with false bytes and
                              times. (default: true)
      --format <format>       table, json, or a Go template of the fields.
                              (default: table)

    """,
    "image": """
    OVERVIEW: List, move, check and remove images.

    USAGE: gantry image <command> [<global options>] [<options>]

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      ls, list                List the engine's images.
      pull                    Get an image from its registry.
      push                    Send an image to its registry.
      load                    Load images from an archive: of `docker save`, or an
                              OCI layout.
      save                    Save images in one archive.
      import                  Make an image from the tar of a root file system.
      tag                     Give an image one more name.
      history                 Show how an image was made, newest step first.
      inspect                 Show all of images, as JSON.
      verify                  Check that images on disk are what they were when
                              they came.
      rm, remove              Remove images, or names of images.
      prune                   Remove the images that nothing uses.

      See 'image help <subcommand>' for detailed help.

    """,
    "image ls": """
    OVERVIEW: List the engine's images.

    USAGE: gantry image ls [<global options>] [<options>] [<name>]

    ARGUMENTS:
      <reference>             NAME[:TAG], also with * and ?.

    OPTIONS:
      -a, --all               Also what builds leave between; there is nothing of
                              the kind here.
      -q, --quiet             Only ids.
      --no-trunc              Show ids in full length.
      --digests               Show digests.
      -f, --filter <filter>   reference=, dangling=true|false, label=, before=,
                              since= or until=; may be repeated.
      --format <format>       table, json, or a Go template of the fields.
                              (default: table)

    """,
    "image inspect": """
    OVERVIEW: Show all of images, as JSON.

    USAGE: gantry image inspect [<global options>] [-f <template>] <image> ...

    ARGUMENTS:
      <images>                Names or ids.

    OPTIONS:
      -f, --format <format>   json, on one line, or a Go template.

    """,
    "image verify": """
    OVERVIEW: Check that images on disk are what they were when they came.

    Reads every layer, and unpacks each once more to compare paths, modes, owners,
    times, attributes and content. Ends with 1 when something has changed.

    USAGE: gantry image verify [<global options>] [-q] [<image> ...]

    ARGUMENTS:
      <images>                Names or ids; all images when none is named.

    OPTIONS:
      -q, --quiet             Only what is wrong.

    """,
    "image rm": """
    OVERVIEW: Remove images, or names of images.

    USAGE: gantry image rm [<global options>] [<options>] <image> ...

    ARGUMENTS:
      <images>                Names or ids.

    OPTIONS:
      -f, --force             Also with several names, or used by stopped
                              containers: then only the names go.
      --no-prune              Keep parents without a name; there is nothing of the
                              kind here.

    """,
    "image prune": """
    OVERVIEW: Remove the images that nothing uses.

    USAGE: gantry image prune [<global options>] [<options>]

    OPTIONS:
      -a, --all               All that no container uses, not only those without a
                              name.
      -f, --force             Do not ask.
      --filter <filter>       label=KEY[=VALUE], label!=KEY[=VALUE] or until=AGE;
                              may be repeated.

    """,
    "login": """
    OVERVIEW: Log in to a registry, and remember it.

    USAGE: gantry login [<options>] [<registry>]

    ARGUMENTS:
      <registry>              Host, and port if need be, of the registry. (default:
                              docker.io)

    OPTIONS:
      -u, --username <username>
                              Name of the user; asked for without it.
      -p, --password <password>
                              Password; other users can see it in the list of
                              processes.
      --password-stdin        Read the password from standard input.

    """,
    "logout": """
    OVERVIEW: Forget the login to a registry.

    USAGE: gantry logout [<registry>]

    ARGUMENTS:
      <registry>              Host, and port if need be, of the registry. (default:
                              docker.io)

    OPTIONS:

    """,
]
