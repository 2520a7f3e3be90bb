import StackModel
import Testing

@testable import StackFile

struct RenderTests {
    private let text = """
        name: demo
        x-common: {z: 1, a: [1, yes, "no", 1.5, ~]}
        services:
          web:
            image: nginx:$$TAG
            profiles: [a]
            command: echo "hi there"
            ports: ["8080:80", "127.0.0.1:90:90/udp"]
            volumes: ["./d:/d", "data:/data:ro"]
            environment: {A: 1, B: , C: "a: b\\nc", D: "yes", E: "", F: "two\\n"}
            depends_on: [db]
            secrets: [s]
            stop_grace_period: 90s
            mem_limit: 50m
            cap_add: []
          db: {image: pg}
        volumes: {data: {}}
        secrets: {s: {environment: HOME}}
        """

    private let canonical = """
        name: demo
        services:
          db:
            image: pg
            networks:
              default: null
          web:
            profiles:
              - a
            command:
              - echo
              - hi there
            depends_on:
              db:
                condition: service_started
                required: true
            environment:
              A: "1"
              B: null
              C: |-
                a: b
                c
              D: "yes"
              E: ""
              F: |
                two
            image: nginx:$$TAG
            mem_limit: "52428800"
            networks:
              default: null
            ports:
              - mode: ingress
                target: 80
                published: "8080"
                protocol: tcp
              - mode: ingress
                host_ip: 127.0.0.1
                target: 90
                published: "90"
                protocol: udp
            secrets:
              - source: s
                target: /run/secrets/s
            stop_grace_period: 1m30s
            volumes:
              - type: bind
                source: /work/demo/d
                target: /d
                bind:
                  create_host_path: true
              - type: volume
                source: data
                target: /data
                read_only: true
                volume: {}
        networks:
          default:
            name: demo_default
        volumes:
          data:
            name: demo_data
        secrets:
          s:
            name: demo_s
            environment: HOME
        x-common:
          a:
            - 1
            - "yes"
            - "no"
            - 1.5
            - null
          z: 1

        """

    @Test func yamlIsWhatComposePrints() throws {
        let rendered = try MemoryProject(text).load { $0.profiles = ["a"] }.render(.yaml)
        #expect(rendered == canonical)
    }

    @Test func whatIsRenderedLoadsToTheSame() throws {
        let first = try MemoryProject(text).load { $0.profiles = ["a"] }
        for format in [ConfigFormat.yaml, .json] {
            let again = try MemoryProject(first.render(format)).load { $0.profiles = ["a"] }
            #expect(again.stack.services == first.stack.services)
            #expect(again.stack.volumes == first.stack.volumes)
            #expect(again.stack.networks == first.stack.networks)
            #expect(again.render(format) == first.render(format))
        }
    }

    @Test func json() throws {
        let rendered = try MemoryProject(
            "name: d\nservices: {a: {image: \"q\\\"\\u0007\", tty: true, network_mode: none}}"
        )
        .load().render(.json)
        #expect(
            rendered == """
                {
                  "name": "d",
                  "services": {
                    "a": {
                      "command": null,
                      "entrypoint": null,
                      "image": "q\\"\\u0007",
                      "network_mode": "none",
                      "tty": true
                    }
                  }
                }

                """)
    }

    /// Text of any kind comes back as it was, whatever style the writer chooses.
    @Test func anyTextSurvivesTheWriter() throws {
        let pieces = [
            "a", " ", ":", "#", "-", "\n", "\t", "'", "\"", "\\", "{", "]", "!", "&", "*", "?", "|", ">", "%", "@", "`",
            "1", "0x1", "null", "true", "~", ",", "é", "\u{1}", "\u{7F}", "\u{85}", "\u{2028}", "\u{FEFF}", "𝄞", "=",
            "<<",
        ]
        var random = SeededRandom(state: 7)
        for _ in 0..<3000 {
            let text = (0..<Int.random(in: 0...6, using: &random)).map { _ in pieces.randomElement(using: &random) ?? ""
            }
            .joined()
            let mark = SourceMark(file: "f", line: 1, column: 1)
            let tree = Node.map(["k": .list([.map(["v": .string(text, at: mark)], at: mark)], at: mark)], at: mark)
            for written in [YAMLWriter.write(tree), JSONWriter.write(tree)] {
                let read = try YAMLComposer.documents(Array(written.utf8), file: "f", report: Report())
                let back = try #require(read.first?["k"]?.items?.first?["v"]?.scalar)
                #expect(
                    back.text.unicodeScalars.elementsEqual(text.unicodeScalars) && back.value == .string, "\(written)")
            }
        }
    }
}
