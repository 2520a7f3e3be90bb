/// Labels that Docker Compose puts on what it makes; tools select by them, so Gantry does the same.
public enum ComposeLabel {
    public static let project = "com.docker.compose.project"
    public static let service = "com.docker.compose.service"
    public static let containerNumber = "com.docker.compose.container-number"
    public static let oneOff = "com.docker.compose.oneoff"
    public static let configHash = "com.docker.compose.config-hash"
    public static let workingDirectory = "com.docker.compose.project.working_dir"
    public static let configFiles = "com.docker.compose.project.config_files"
    public static let version = "com.docker.compose.version"
    public static let dependsOn = "com.docker.compose.depends_on"
    public static let image = "com.docker.compose.image"
    public static let network = "com.docker.compose.network"
    public static let volume = "com.docker.compose.volume"
    public static let hook = "com.docker.compose.hook"
    public static let hookIndex = "com.docker.compose.hook.index"
}

/// Labels of Gantry's own.
public enum GantryLabel {
    /// Of a run of a scheduled service: the service.
    public static let job = "dev.gantry.job"
    /// Of such a run: its time, RFC 3339; missing when a command asked for it.
    public static let scheduledAt = "dev.gantry.job.scheduled-at"
    /// Of a `pre_start` hook's container: the id of the one it runs for.
    public static let hookOf = "dev.gantry.hook-of"
}
