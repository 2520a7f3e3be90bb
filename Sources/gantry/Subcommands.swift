import ArgumentParser

/// Subcommands that are the engine rather than a client of it.
let engineCommands: [any ParsableCommand.Type] = [EngineCommand.self]
