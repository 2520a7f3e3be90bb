import ArgumentParser
import Testing

@testable import gantry

@Suite struct HelpTests {
    /// By name: `image rm`.
    private func command(_ name: String) -> (any ParsableCommand.Type)? {
        var types = Gantry.configuration.groupedSubcommands.flatMap(\.subcommands)
        var found: (any ParsableCommand.Type)?
        for word in name.split(separator: " ") {
            guard let type = types.first(where: { $0._commandName == word }) else { return nil }
            found = type
            types = type.configuration.subcommands
        }
        return found
    }

    @Test(arguments: helpSnapshots.keys.sorted()) func isAsWritten(_ name: String) throws {
        if name.isEmpty {
            #expect(trimmed(Gantry.helpMessage(columns: 80)) == trimmed(helpSnapshots[name] ?? ""))
            return
        }
        let type = try #require(command(name))
        let ending = type.configuration.subcommands.isEmpty ? helpEnding : ""
        #expect(trimmed(type.helpMessage(columns: 80)) == trimmed((helpSnapshots[name] ?? "") + ending))
    }

    @Test func isWrittenForEveryCommand() {
        let types = Gantry.configuration.groupedSubcommands.flatMap(\.subcommands)
            .filter { $0.configuration.shouldDisplay }
        var names = types.map { $0._commandName }
        let kinds = Set(types.map(ObjectIdentifier.init))
        // A subcommand that is a command of its own, too, is written once.
        for type in types {
            names += type.configuration.subcommands.filter { !kinds.contains(ObjectIdentifier($0)) }
                .map { "\(type._commandName) \($0._commandName)" }
        }
        // The engine is a program of its own, with its own help.
        #expect(Set(names.filter { !$0.hasPrefix("engine") }) == Set(helpSnapshots.keys).subtracting([""]))
    }

    private func trimmed(_ text: String) -> Substring {
        var rest = text[...]
        while rest.last == "\n" { rest = rest.dropLast() }
        return rest
    }
}
