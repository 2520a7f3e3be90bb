import StackModel

/// `SIGTERM`, `TERM`, `15`, `RTMIN+3` → the number (`signal(7)`).
func signalNumber(_ text: String) throws(EngineError) -> Int32 {
    guard let number = SignalName.number(of: text) else { throw .badRequest("no such signal: \(text)") }
    return number
}
