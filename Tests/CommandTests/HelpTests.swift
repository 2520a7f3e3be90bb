import ArgumentParser
import Testing

@testable import gantry

@Suite struct HelpTests {
    private func help(_ command: String) -> String {
        let commands = Gantry.configuration.groupedSubcommands.flatMap(\.subcommands)
        guard let type = commands.first(where: { $0._commandName == command }) else {
            return Gantry.helpMessage(columns: 80)
        }
        return type.helpMessage(columns: 80)
    }

    @Test(arguments: helpSnapshots.keys.sorted()) func isAsWritten(_ command: String) {
        let snapshot = helpSnapshots[command] ?? ""
        let expected = snapshot + (snapshot.contains("SUBCOMMANDS:") ? "" : helpEnding)
        #expect(trimmed(help(command)) == trimmed(expected))
    }

    @Test func isWrittenForEveryCommand() {
        let names = Gantry.configuration.groupedSubcommands.flatMap(\.subcommands).map { $0._commandName }
        // The engine is a program of its own, with its own help.
        #expect(Set(names).subtracting(["engine"]) == Set(helpSnapshots.keys).subtracting([""]))
    }

    private func trimmed(_ text: String) -> Substring {
        var rest = text[...]
        while rest.last == "\n" { rest = rest.dropLast() }
        return rest
    }
}
