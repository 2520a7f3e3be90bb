import StackFile
import StackModel

/// What libFuzzer calls with each input: a project of up to three files, separated by bytes 0xFF, which no UTF-8 text
/// has: `compose.yaml`, `other.yaml` (for `include`, `extends` and as an override), `.env`. Whatever they hold, a load
/// ends in a stack or in errors; a crash, a hang or a fill of memory is a fault.
///
///     make fuzz FUZZ_SECONDS=600
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzStackFile(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let parts = bytes.split(separator: 0xFF, maxSplits: 2, omittingEmptySubsequences: false).map(Array.init)
    let names = ["/w/compose.yaml", "/w/other.yaml", "/w/.env"]
    let files = Dictionary(uniqueKeysWithValues: zip(names, parts))
    let access = FileAccess(
        read: { (path, bytesMax) throws(FileProblem) in
            guard let found = files[path] else { throw .missing }
            guard found.count <= bytesMax else { throw .tooLarge(bytesMax: bytesMax) }
            return found
        }, exists: { files[$0] != nil })
    var options = LoadOptions(workingDirectory: "/w", environment: ["HOME": "/h", "A": "1", "TAG": "x"])
    options.profiles = ["*"]
    if count % 2 == 1 { options.files = ["compose.yaml", "other.yaml"] }
    load(options, access)
    options.interpolates = false
    show(options, access)
    return 0
}

private func load(_ options: LoadOptions, _ files: FileAccess) {
    do throws(StackFileError) {
        let loaded = try loadStack(options, files: files)
        _ = loaded.render(.yaml) + loaded.render(.json)
        render(loaded.warnings)
    } catch {
        precondition(!error.diagnostics.isEmpty)
        render(error.diagnostics)
    }
}

private func show(_ options: LoadOptions, _ files: FileAccess) {
    do throws(StackFileError) {
        _ = try loadDocument(options, files: files).render(.yaml)
    } catch {
        precondition(!error.diagnostics.isEmpty)
    }
}

private func render(_ diagnostics: [Diagnostic]) {
    for format in [DiagnosticFormat.text, .json, .github, .sarif] {
        _ = renderDiagnostics(diagnostics, format, color: true)
    }
}
