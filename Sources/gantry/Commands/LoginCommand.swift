import ArgumentParser
import CLinux
import Glibc
import Images
import LinuxSystem
import Registry

struct LoginCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Log in to a registry, and remember it.",
        usage: "gantry login [<options>] [<registry>]")

    @Option(name: [.short, .long], help: "Name of the user; asked for without it.")
    var username: String?

    @Option(name: [.short, .long], help: "Password; other users can see it in the list of processes.")
    var password: String?

    @Flag(help: "Read the password from standard input.")
    var passwordStdin = false

    @Argument(help: "Host, and port if need be, of the registry.")
    var registry = ImageReference.defaultRegistry

    func validate() throws {
        if passwordStdin, password != nil { throw ValidationError("--password and --password-stdin are both given") }
        if passwordStdin, username == nil { throw ValidationError("--password-stdin needs --username") }
    }

    func run() throws {
        let host = try registryHost(registry)
        let user = try username ?? ask("Username: ", hidden: false)
        let secret = try passwordStdin ? readSecret() : password ?? ask("Password: ", hidden: true)
        guard !user.isEmpty, !secret.isEmpty else {
            throw CommandFailure.usage("a user name and a password are needed")
        }
        let credential = RegistryCredential.password(username: user, password: secret)
        let client = RegistryClient(
            RegistryConnections(), credentials: GivenCredential(host: host, credential))
        try client.verifyLogin(registry: host)
        try CredentialFiles(environment: processEnvironment()).store(credential, host: host)
        try Console(descriptor: STDOUT_FILENO, ansi: .never, environment: [:]).write("Login Succeeded\n")
    }

    private func readSecret() throws -> String {
        let input = FileDescriptor(owning: try check("fcntl") { gantry_fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) })
        let byteCountMax = 64 << 10
        var bytes = try input.readAll(byteCountMax: byteCountMax)
        while bytes.last == 0x0a || bytes.last == 0x0d { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func ask(_ question: String, hidden: Bool) throws -> String {
        guard isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure.usage(
                "nobody is there to be asked", hint: "use --username NAME --password-stdin")
        }
        try Console(descriptor: STDERR_FILENO, ansi: .never, environment: [:]).write(question)
        var before = termios()
        try check("tcgetattr") { tcgetattr(STDIN_FILENO, &before) }
        var quiet = before
        if hidden { quiet.c_lflag &= ~tcflag_t(ECHO) }
        try check("tcsetattr") { tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet) }
        defer {
            // A terminal that has gone away needs no settings, and no new line.
            tcsetattr(STDIN_FILENO, TCSADRAIN, &before)
            if hidden { write(STDERR_FILENO, "\n", 1) }
        }
        return readLine() ?? ""
    }
}

struct LogoutCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout", abstract: "Forget the login to a registry.", usage: "gantry logout [<registry>]")

    @Argument(help: "Host, and port if need be, of the registry.")
    var registry = ImageReference.defaultRegistry

    func run() throws {
        let host = try registryHost(registry)
        let wasKnown = try CredentialFiles(environment: processEnvironment()).erase(host: host)
        let text = wasKnown ? "Removing login credentials for \(host)\n" : "Not logged in to \(host)\n"
        try Console(descriptor: STDOUT_FILENO, ansi: .never, environment: [:]).write(text)
    }
}

/// A registry as users write it: an address of it will do.
private func registryHost(_ text: String) throws -> String {
    var host = text[...]
    for scheme in ["https://", "http://"] where host.hasPrefix(scheme) { host = host.dropFirst(scheme.count) }
    host = host.prefix { $0 != "/" }
    if ["index.docker.io", "registry-1.docker.io", "docker.io"].contains(host) {
        return ImageReference.defaultRegistry
    }
    // Its rules are those of an image's name, where a plain word would not be taken for a host.
    let isWord = !host.contains(".") && !host.contains(":") && host != "localhost"
    if isWord { throw CommandFailure.usage("'\(harmless(String(host)))' is no host of a registry") }
    return try ImageReference(parsing: "\(host)/any").registry
}
