let imagesHelp: [String: String] = [
    "build": """
    OVERVIEW: Build the images of a stack, or one image from a folder.

    What has a slash, is a URL, ".", ".." or "-" (an archive or a Dockerfile on
    standard input) is a context to build, as with docker build; -f names its
    Dockerfile then. Everything else is a service of the stack file.

    USAGE: gantry build [<global options>] [<options>] [<service> ...]
           gantry build [<global options>] [<options>] <path> | <url> | -

    ARGUMENTS:
      <names>                 Services to build, all when none is named; or one
                              context.

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
      --with-dependencies     Build also what the services depend on.

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
    "image": """
    OVERVIEW: List, move, check and remove images.

    USAGE: gantry image <command> [<global options>] [<options>]

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      ls, list                List the engine's images.
      build                   Build an image from a Dockerfile.
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
    "image build": """
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
    "image history": """
    OVERVIEW: Show how an image was made, newest step first.

    USAGE: gantry image history [<global options>] [<options>] <image>

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
