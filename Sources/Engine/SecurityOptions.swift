import StackModel

/// `security_opt` of a service, taken apart as Docker does it: `NAME=VALUE` or `NAME:VALUE`.
struct SecurityOptions: Equatable {
    enum Seccomp: Equatable {
        case standard
        case unconfined
        /// A profile's text, or the path of its file.
        case profile(String)
    }

    var noNewPrivileges = false
    var seccomp = Seccomp.standard
    /// Profile of AppArmor; `nil` for none.
    var appArmor: String?
    /// Label of SELinux, `user:role:type:level`; `nil` for none.
    var label: String?
    /// Nothing of /proc and /sys is masked or read-only.
    var showsSystemPaths = false

    init(_ options: [String], service: String) throws(EngineError) {
        for option in options {
            guard try apply(option) else {
                throw .badRequest(
                    "service '\(service)': unknown security option '\(option)'; known are no-new-privileges, "
                        + "seccomp=unconfined, seccomp=FILE, apparmor=PROFILE, label=disable and systempaths=unconfined"
                )
            }
        }
    }

    private mutating func apply(_ option: String) throws(EngineError) -> Bool {
        let name = option.prefix { $0 != "=" && $0 != ":" }
        let value = option.count > name.count ? String(option.dropFirst(name.count + 1)) : nil
        switch (name, value) {
        case ("no-new-privileges", nil), ("no-new-privileges", "true"): noNewPrivileges = true
        case ("no-new-privileges", "false"): noNewPrivileges = false
        case ("seccomp", "unconfined"?): seccomp = .unconfined
        case ("seccomp", "builtin"?): seccomp = .standard
        case ("seccomp", let value?) where !value.isEmpty: seccomp = .profile(value)
        case ("apparmor", "unconfined"?): appArmor = nil
        case ("apparmor", let value?) where !value.isEmpty: appArmor = value
        case ("label", "disable"?): label = nil
        case ("label", let value?) where value.contains(":"): label = value
        case ("systempaths", "unconfined"?): showsSystemPaths = true
        default: return false
        }
        return true
    }
}
