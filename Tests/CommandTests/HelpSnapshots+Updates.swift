let updatesHelp: [String: String] = [
    "plan": """
    OVERVIEW: Show what `apply` would change, and why.

    Symbols: + created, -/+ replaced, - removed, ! missing or damaged and
    repaired, ~ changed in another way: started, stopped, updated in place, ? in
    no stack file. A plan that is saved with --out is applied with `gantry apply
    FILE`, without the stack file. Passwords and the like are in no plan.

    USAGE: gantry plan [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services, with what they depend on; all when none is
                              named.

    OPTIONS:
      --format <format>       Form of the output: text, json, markdown. (values:
                              text, json, markdown; default: text)
      --out <out>             File to save the plan to, for `apply` and `show`.
      --detailed-exitcode     Exit code 2 when there are changes.
      --remove-orphans        Also remove containers of services that the stack
                              file no longer has.
      --allow-destroy <allow-destroy>
                              What may be replaced although its data is lost, as
                              volume.NAME; may be repeated.
      --report <kind=file>    Also write a report: junit, codequality, dotenv,
                              terraform, markdown or json; may be repeated.

    """,
    "show": """
    OVERVIEW: Show a saved plan, and whether it can still be applied.

    Works without the engine too; then nobody knows whether the plan is stale.

    USAGE: gantry show [<global options>] [<options>] <plan>

    ARGUMENTS:
      <plan>                  File that `gantry plan --out` wrote.

    OPTIONS:
      --format <format>       Form of the output: text, json, markdown. (values:
                              text, json, markdown; default: text)
      --detailed-exitcode     Exit code 2 when there are changes.

    """,
    "apply": """
    OVERVIEW: Carry out a saved plan, or plan and apply the stack file.

    With a plan that `gantry plan --out FILE` saved, the stack file is not
    needed. When what the plan touches has changed since, it is refused with
    exit code 8. What would lose data is refused with exit code 9, unless
    --allow-destroy names it. Nothing is ever asked.

    USAGE: gantry apply [<global options>] [<options>] [<plan>]

    ARGUMENTS:
      <plan>                  File that `gantry plan --out` wrote.

    OPTIONS:
      --wait/--no-wait        Wait until every service is where it should be.
                              (default: --wait)
      --timeout, --wait-timeout <duration>
                              How long to wait: seconds, or as in 1m30s.
      --prune, --remove-orphans
                              Also remove containers of services that the stack
                              file no longer has.
      --allow-destroy <allow-destroy>
                              What may be replaced although its data is lost, as
                              volume.NAME; may be repeated.
      --changed-exitcode <changed-exitcode>
                              Exit code when something was changed, instead of 0.
                              (default: 0)
      --report <kind=file>    Write a report at the end: junit, codequality,
                              dotenv, terraform, markdown or json; may be repeated.
      --lock-timeout <duration>
                              How long to wait for another command on the same
                              stack, 0 or as in 15m. (default: as long as it takes;
                              with CI set, 10m)

    """,
    "reconcile": """
    OVERVIEW: Plan, apply, and wait until the stack has converged.

    For scripts and CI: exit code 0 when the stack has converged, 1 when it
    has not, 2 when the command line is wrong, 3 when the stack file is; 4
    when an update failed and is paused, 5 when it was rolled back, 10 when
    that failed too; 6 when the time was over, 7 when another command had
    the stack for longer than --lock-timeout. With -p and without a stack file it
    is the stack as the
    engine knows it.

    USAGE: gantry reconcile [<global options>] [<options>]

    OPTIONS:
      --wait/--no-wait        Wait until every service is where it should be.
                              (default: --wait)
      --timeout, --wait-timeout <duration>
                              How long to wait: seconds, or as in 1m30s.
      --prune, --remove-orphans
                              Also remove containers of services that the stack
                              file no longer has.
      --allow-destroy <allow-destroy>
                              What may be replaced although its data is lost, as
                              volume.NAME; may be repeated.
      --recreate-volume <recreate-volume>
                              Begin anew with an empty volume where this one is
                              gone; may be repeated.
      --format <format>       Form of the output. (values: text, json; default:
                              text)
      --report <kind=file>    Write a report at the end: junit, codequality,
                              dotenv, terraform, markdown or json; may be repeated.
      --lock-timeout <duration>
                              How long to wait for another command on the same
                              stack, 0 or as in 15m. (default: as long as it takes;
                              with CI set, 10m)

    """,
    "drift": """
    OVERVIEW: Show what is not as it was applied, and what is done about it.

    Changes nothing. What the engine repairs by itself is gone again in a
    moment; `gantry reconcile` repairs what it only reports, and applies the
    stack file. x-gantry.drift in the stack file says which is which.

    USAGE: gantry drift [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services; the whole stack when none is named.

    OPTIONS:
      --deep                  Also look for files and processes in containers that
                              are not their own.
      --detailed-exitcode     Exit code 2 when something differs.
      --format <format>       Form of the output. (values: text, json, markdown;
                              default: text)
      --report <kind=file>    Also write a report: junit, codequality, dotenv,
                              terraform, markdown or json; may be repeated.

    """,
    "history": """
    OVERVIEW: Show a stack's revisions, or how an image was made; newest first.

    Without an image: what the stack was, each time that it was changed. A
    revision is stable when every service reached its goal with it; `gantry
    rollback` goes back to the last stable one.

    USAGE: gantry history [<global options>] [<options>] [<image>]

    ARGUMENTS:
      <image>                 Name or id of an image.

    OPTIONS:
      -q, --quiet             Only ids.
      --no-trunc              Show ids and commands in full length.
      --human <human>         Sizes and ages for people; with false bytes and
                              times. (default: true)
      --format <format>       table, json, or a Go template of the fields.
                              (default: table)

    """,
    "rollback": """
    OVERVIEW: Return a stack to what it was before.

    Replicas that differ are replaced as the services' rollback_config says.
    Nothing else is touched, volumes and their data least of all.

    USAGE: gantry rollback [<global options>] [<options>]

    OPTIONS:
      --to <to>               Number of a revision; otherwise the last stable one
                              before the present.
      --wait/--no-wait        Wait until every service is where it should be.
                              (default: --wait)
      --timeout, --wait-timeout <duration>
                              How long to wait: seconds, or as in 1m30s.
      --report <kind=file>    Write a report at the end: junit, codequality,
                              dotenv, terraform, markdown or json; may be repeated.
      --lock-timeout <duration>
                              How long to wait for another command on the same
                              stack, 0 or as in 15m. (default: as long as it takes;
                              with CI set, 10m)

    """,
    "rollout": """
    OVERVIEW: Look at an update that is under way, and steer it.

    USAGE: rollout <subcommand>

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      status                  Show how far the update of each service is.
      promote                 Go on with an update whose canaries are found good.
      pause                   Replace nothing more; what is begun is ended.
      resume                  Go on with an update that is paused.
      abort                   End an update that is under way, and return to the
                              last stable revision.

      See 'rollout help <subcommand>' for detailed help.

    """,
    "rollout status": """
    OVERVIEW: Show how far the update of each service is.

    USAGE: gantry rollout status [<global options>] [<options>]

    OPTIONS:
      --format <format>       table, json, or a Go template. (default: table)

    """,
    "rollout pause": """
    OVERVIEW: Replace nothing more; what is begun is ended.

    Holds until `gantry rollout resume`, or until another stack is applied.

    USAGE: gantry rollout pause [<global options>]

    OPTIONS:

    """,
    "rollout resume": """
    OVERVIEW: Go on with an update that is paused.

    USAGE: gantry rollout resume [<global options>] [<options>]

    OPTIONS:
      --wait/--no-wait        Wait until every service is where it should be.
                              (default: --wait)
      --timeout, --wait-timeout <duration>
                              How long to wait: seconds, or as in 1m30s.
      --report <kind=file>    Write a report at the end: junit, codequality,
                              dotenv, terraform, markdown or json; may be repeated.
      --lock-timeout <duration>
                              How long to wait for another command on the same
                              stack, 0 or as in 15m. (default: as long as it takes;
                              with CI set, 10m)

    """,
    "promote": """
    OVERVIEW: Go on with an update whose canaries are found good.

    Canaries are what x-gantry.rollout.canary of a service asks for.

    USAGE: gantry promote [<global options>] [<options>] [<service> ...]

    ARGUMENTS:
      <services>              Services; otherwise all whose canaries wait.

    OPTIONS:
      --wait/--no-wait        Wait until every service is where it should be.
                              (default: --wait)
      --timeout, --wait-timeout <duration>
                              How long to wait: seconds, or as in 1m30s.
      --report <kind=file>    Write a report at the end: junit, codequality,
                              dotenv, terraform, markdown or json; may be repeated.
      --lock-timeout <duration>
                              How long to wait for another command on the same
                              stack, 0 or as in 15m. (default: as long as it takes;
                              with CI set, 10m)

    """,
    "abort": """
    OVERVIEW: End an update that is under way, and return to the last stable
    revision.

    Replicas that were not replaced yet are not touched.

    USAGE: gantry abort [<global options>] [<options>]

    OPTIONS:
      --wait/--no-wait        Wait until every service is where it should be.
                              (default: --wait)
      --timeout, --wait-timeout <duration>
                              How long to wait: seconds, or as in 1m30s.
      --report <kind=file>    Write a report at the end: junit, codequality,
                              dotenv, terraform, markdown or json; may be repeated.
      --lock-timeout <duration>
                              How long to wait for another command on the same
                              stack, 0 or as in 15m. (default: as long as it takes;
                              with CI set, 10m)

    """,
]
