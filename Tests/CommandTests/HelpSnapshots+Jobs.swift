let jobsHelp: [String: String] = [
    "job": """
    OVERVIEW: List, run and suspend what runs by the clock.

    Jobs are the services of a stack that have x-gantry.schedule. See
    docs/jobs.md.

    USAGE: gantry job <command> [<global options>] [<options>]

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      ls, list                List a stack's jobs.
      history                 Show the runs of jobs; newest first.
      run                     Run a job now, besides its times.
      suspend                 Have a job's times passed over from now on.
      resume                  Have a job run at its times again.

      See 'job help <subcommand>' for detailed help.

    """,
    "job ls": """
    OVERVIEW: List a stack's jobs.

    USAGE: gantry job ls [<global options>] [<options>]

    OPTIONS:
      -q, --quiet             Only names.
      --format <format>       table, json, or a Go template of the fields.
                              (default: table)

    """,
    "job history": """
    OVERVIEW: Show the runs of jobs; newest first.

    The containers of the runs are kept as long as they are shown here, and
    with them what the runs printed.

    USAGE: gantry job history [<global options>] [<options>] [<job>]

    ARGUMENTS:
      <job>                   A job; all when none is named.

    OPTIONS:
      -q, --quiet             Only names of containers.
      --format <format>       table, json, or a Go template of the fields.
                              (default: table)

    """,
    "job run": """
    OVERVIEW: Run a job now, besides its times.

    Prints the name of the run's container. With --wait the exit code is 0
    when the run succeeded, and 1 when it did not.

    USAGE: gantry job run [<global options>] [<options>] <job>

    ARGUMENTS:
      <job>                   The job.

    OPTIONS:
      --wait                  Wait for the end of the run.
      --wait-timeout <wait-timeout>
                              How long to wait: seconds, or as in 1m30s.

    """,
    "job suspend": """
    OVERVIEW: Have a job's times passed over from now on.

    What is running goes on.

    USAGE: gantry job suspend [<global options>] <job>

    ARGUMENTS:
      <job>                   The job.

    OPTIONS:

    """,
    "job resume": """
    OVERVIEW: Have a job run at its times again.

    Times that were passed over meanwhile are not made up for.

    USAGE: gantry job resume [<global options>] <job>

    ARGUMENTS:
      <job>                   The job.

    OPTIONS:

    """,
]
