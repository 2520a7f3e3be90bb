extension Run {
    /// What a RUN executes, heredocs taken in.
    public struct Script: Equatable, Sendable {
        public var arguments: [String]
        /// To be put, executable, where `arguments` names it: a heredoc that starts with `#!`.
        public var file: InlineFile?
    }

    /// The folder of `Script.file` in the container.
    public static let scriptFolder = "/dev/pipes"

    /// A line that is nothing but a heredoc is a script for the shell, or with `#!` a program of its own; any other
    /// line with heredocs goes to the shell, which reads them itself.
    public func script(shell: [String] = Invocation.defaultShell) -> Script {
        guard invocation.form == .shell, let line = invocation.words.first?.text, let first = heredocs.first else {
            return Script(arguments: invocation.arguments(shell: shell), file: nil)
        }
        guard heredocs.count == 1, Heredoc(word: line) != nil else {
            let documents = heredocs.map { "\n" + $0.content + $0.name }.joined()
            return Script(arguments: shell + [line + documents], file: nil)
        }
        let text = first.document
        guard text.hasScalarPrefix("#!") else { return Script(arguments: shell + [text], file: nil) }
        let path = Self.scriptFolder + "/" + first.name
        return Script(
            arguments: shell + [path], file: InlineFile(name: first.name, content: text, expands: false))
    }
}
