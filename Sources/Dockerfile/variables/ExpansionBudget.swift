/// What all words of a stage may expand to together: a file of a few kilobytes can ask for any amount of memory and
/// time, each word doubling or copying what an earlier one has.
struct ExpansionBudget: Equatable, Sendable {
    static let charactersMax = 64 * 1024 * 1024
    static let stepsMax = 50_000_000

    private var characters = charactersMax
    private var steps = stepsMax

    mutating func expand(
        _ word: Word, _ expander: WordExpander, in variables: Variables
    ) throws(Fault) -> WordExpander.Expansion {
        do throws(ExpansionError) {
            return try take(word.text, expander, in: variables)
        } catch {
            throw Fault(.variable, "failed to process \(Self.shown(word.text)): \(error.message)", at: word.range)
        }
    }

    mutating func take(
        _ text: String, _ expander: WordExpander, in variables: Variables
    ) throws(ExpansionError) -> WordExpander.Expansion {
        var expander = expander
        expander.stepsMax = min(expander.stepsMax, steps)
        let result = try expander.expand(text, in: variables)
        steps -= result.steps
        characters -= result.length
        guard characters >= 0 else {
            throw ExpansionError(message: "all words together expand to more than \(Self.charactersMax) characters")
        }
        return result
    }

    private static func shown(_ text: String) -> String {
        let lengthMax = 200
        let start = String(scalars: text.unicodeScalars.prefix(lengthMax))
        return GoValue.quoted(start == text ? text : start + "…")
    }
}
