let networksHelp: [String: String] = [
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

    USAGE: gantry network inspect [<global options>] [-f <template>] <network> ...

    ARGUMENTS:
      <networks>              Names or ids.

    OPTIONS:
      -f, --format <format>   json, on one line, or a Go template.

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
    "volume": """
    OVERVIEW: Make, list and remove volumes.

    USAGE: gantry volume <command> [<global options>] [<options>]

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      create                  Make a volume; its name is printed.
      inspect                 Show all of volumes, as JSON.
      ls, list                List volumes.
      prune                   Remove the anonymous volumes that no container uses.
      rm, remove              Remove volumes and what is in them.

      See 'volume help <subcommand>' for detailed help.

    """,
    "volume create": """
    OVERVIEW: Make a volume; its name is printed.

    USAGE: gantry volume create [<global options>] [<options>] [<name>]

    ARGUMENTS:
      <name>                  Name of the volume; without one it is anonymous.

    OPTIONS:
      -d, --driver <driver>   local: a folder of the engine's. (default: local)
      -o, --opt <opt>         Option of the driver, KEY=VALUE; may be repeated.
      --label <label>         Label, KEY[=VALUE]; may be repeated.

    """,
    "volume inspect": """
    OVERVIEW: Show all of volumes, as JSON.

    USAGE: gantry volume inspect [<global options>] [-f <template>] <volume> ...

    ARGUMENTS:
      <volumes>               Names.

    OPTIONS:
      -f, --format <format>   json, on one line, or a Go template.

    """,
    "volume ls": """
    OVERVIEW: List volumes.

    USAGE: gantry volume ls [<global options>] [<options>]

    OPTIONS:
      -q, --quiet             Only names.
      -f, --filter <filter>   name=, driver=, label= or dangling=true|false; may be
                              repeated.
      --format <format>       table, json, or a Go template of the fields.
                              (default: table)

    """,
    "volume prune": """
    OVERVIEW: Remove the anonymous volumes that no container uses.

    Volumes of a stack that is up belong to it and stay.

    USAGE: gantry volume prune [<global options>] [-a] [-f] [--filter <key=value>] ...

    OPTIONS:
      -a, --all               Also those with a name.
      -f, --force             Do not ask.
      --filter <filter>       label=KEY[=VALUE] or label!=KEY[=VALUE]; may be
                              repeated.

    """,
    "volume rm": """
    OVERVIEW: Remove volumes and what is in them.

    USAGE: gantry volume rm [<global options>] [-f] <volume> ...

    ARGUMENTS:
      <volumes>               Names.

    OPTIONS:
      -f, --force             One that does not exist is no error.

    """,
]
