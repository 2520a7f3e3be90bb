/// Colours of a terminal (SGR codes, ECMA-48).
enum Colour: Int {
    case red = 31, green, yellow, blue, magenta, cyan
    case brightGreen = 92, brightYellow, brightBlue, brightMagenta, brightCyan
    case faint = 2
    case bold = 1

    /// For the prefixes of logs, in the order Docker Compose hands them out.
    static let prefixes: [Colour] = [
        .cyan, .yellow, .green, .magenta, .blue, .brightCyan, .brightYellow, .brightGreen, .brightMagenta, .brightBlue,
    ]
}

func coloured(_ text: String, _ colour: Colour, _ enabled: Bool) -> String {
    enabled ? "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m" : text
}
