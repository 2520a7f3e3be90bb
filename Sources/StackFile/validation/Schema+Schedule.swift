/// `x-gantry.schedule`: services that are started by the clock.
extension Schema {
    static let schedule: Shape = Shape.string.or(
        .object(
            [
                "cron": Field(
                    .string, "MINUTE HOUR DAY MONTH WEEKDAY as in crontab(5), @daily and its kind, or @every 5m"),
                "time_zone": Field(.string, "Name of a time zone, such as Europe/Berlin; by default the engine's"),
                "concurrency": Field(
                    .word("allow", "forbid", "replace"),
                    "What to do when its time comes while a run goes on: forbid (the new one) by default"),
                "deadline": Field(duration, "How long after its time a run may still begin; by default any time"),
                "timeout": Field(duration, "How long a run may take before it is stopped; by default any time"),
                "history": Field(
                    .object(
                        [
                            "succeeded": Field(.integer(0...100), "How many that succeeded, 3 by default"),
                            "failed": Field(.integer(0...100), "How many that failed, 1 by default"),
                        ], extensions: false), "How many ended runs are kept, with their logs"),
                "suspend": Field(.boolean, "Whether its times are passed over"),
            ], required: ["cron"], extensions: false))
}
