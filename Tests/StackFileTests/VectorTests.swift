import StackModel
import Testing

@testable import StackFile

/// The tables of compose-go's tests of templates, environment files and short volumes.
@Suite(.enabled(if: ComposeCases.isPresent, "the corpus stands beside the repository where it is developed"))
struct VectorTests {
    /// `template<TAB>ok|error<TAB>result or message`
    @Test func interpolation() throws {
        let environment = ["FOO": "first", "BAR": "", "JSON": "{\"json\":2}"]
        let rows = ComposeCases.table("vectors/interpolation.tsv")
        #expect(rows.count > 60)
        for row in rows {
            let template = try ComposeCases.json(row[0]).text ?? ""
            let wanted = try ComposeCases.json(row[2]).text ?? ""
            let subject = Template(lookup: { environment[$0] }, unset: { _ in })
            do throws(TemplateError) {
                let text = try subject.substitute(template)
                #expect(row[1] == "ok" && text == wanted, "\(row)")
            } catch .required(let name, let message) {
                let said = "required variable \(name) is missing a value" + (message.isEmpty ? "" : ": " + message)
                #expect(row[1] == "error" && wanted == said, "\(row)")
            } catch {
                #expect(row[1] == "error" && wanted == "Invalid template", "\(row)")
            }
        }
    }

    /// `file<TAB>key, or * for the whole map<TAB>value`
    @Test func dotenv() throws {
        let rows = ComposeCases.table("vectors/dotenv.tsv")
        #expect(rows.count > 50)
        for row in rows {
            let text = try ComposeCases.json(row[0]).text ?? ""
            let key = try ComposeCases.json(row[1]).text ?? ""
            let wanted = try ComposeCases.json(row[2]).text ?? ""
            let values = try Dotenv.parse(Array(text.utf8), lookup: { _ in nil })
            if key == "*" {
                #expect(values == stringMap(try ComposeCases.json(wanted)), "\(row)")
            } else {
                #expect(values == [key: wanted], "\(row)")
            }
        }
    }

    /// `volume<TAB>ok|error<TAB>name of the Go test, or source|no-source`. The rows with a source are of a test that
    /// looks at nothing but whether one is split off: there what is refused has none.
    @Test func shortVolumes() throws {
        let rows = ComposeCases.table("vectors/volume_short.tsv")
        #expect(rows.count > 70)
        for row in rows {
            let text = try ComposeCases.json(row[0]).text ?? ""
            do throws(SyntaxError) {
                let mount = try MountSyntax.parse(text)
                #expect(row[1] == "ok", "\(row)")
                if row[2] == "source" { #expect(mount.source != nil, "\(row)") }
                if row[2] == "no-source" { #expect(mount.source == nil, "\(row)") }
            } catch {
                #expect(row[1] == "error" || row[2] == "no-source", "\(row): \(error.message)")
            }
        }
    }
}
