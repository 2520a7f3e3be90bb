import StackModel
import Testing

@testable import StackFile

/// What runs: Compose Specification, chapter services.
struct ProcessAttributeTests {
    @Test func commandAndEntrypoint() throws {
        for (key, property) in [("command", \Service.command), ("entrypoint", \Service.entrypoint)] {
            try expect("\(key): bundle exec thin -p 3000", property, ["bundle", "exec", "thin", "-p", "3000"])
            try expect("\(key): [bundle, exec, \"-p\", \"3000\"]", property, ["bundle", "exec", "-p", "3000"])
            try expect(
                "\(key): \"sh -c 'echo a  b' \\\"c d\\\" e\\\\ f\"", property, ["sh", "-c", "echo a  b", "c d", "e f"])
            try expect("\(key):", property, nil)
            try expect("\(key): null", property, nil)
            try expect("\(key): []", property, [])
            try expect("\(key): \"\"", property, [])
        }
        try expect("image: a", \.command, nil)
    }

    @Test func environmentAsMap() throws {
        try expect(
            "environment: {FOO: \"1\", BAR: 2, GA: 2.5, BU: \"\", ZO: , MEU: , YES: true, NO: false}", \.environment,
            [
                "FOO": "1", "BAR": "2", "GA": "2.5", "BU": "", "ZO": nil, "MEU": "Shadoks", "YES": "true",
                "NO": "false",
            ], environment: ["MEU": "Shadoks"])
        try expect("environment: {}", \.environment, [:])
    }

    @Test func environmentAsList() throws {
        try expect(
            "environment: [FOO=1, \"BAR=2\", BU=, ZO, MEU, \"A=b=c\"]", \.environment,
            ["FOO": "1", "BAR": "2", "BU": "", "ZO": nil, "MEU": "Shadoks", "A": "b=c"],
            environment: ["MEU": "Shadoks"])
        try expect("environment: [A=1, A=2]", \.environment, ["A": "2"])
    }

    @Test func environmentFiles() throws {
        var project = Everything.project(
            """
            services:
              one: {image: a, env_file: a.env}
              many: {image: a, env_file: [a.env, b.env], environment: {THREE: own}}
              long: {image: a, env_file: [{path: a.env}, {path: raw.env, format: raw}, {path: no.env, required: false}]}
            """)
        project.files["/work/demo/a.env"] = "ONE=1\nTWO='2'\nTHREE=3\n"
        project.files["/work/demo/b.env"] = "TWO=two\n# comment\nFOUR=${ONE}-${HOST}\n"
        project.files["/work/demo/raw.env"] = "RAW='$ONE'\n"
        project.environment["HOST"] = "outside"
        let services = try project.load().stack.services
        #expect(services["one"]?.environment == ["ONE": "1", "TWO": "2", "THREE": "3"])
        #expect(
            services["many"]?.environment == ["ONE": "1", "TWO": "two", "THREE": "own", "FOUR": "1-outside"])
        #expect(services["long"]?.environment == ["ONE": "1", "TWO": "2", "THREE": "3", "RAW": "'$ONE'"])
    }

    @Test func userAndGroups() throws {
        try expect("user: someone", \.user, "someone")
        try expect("user: \"1000:1000\"", \.user, "1000:1000")
        try expect("user: \"0\"", \.user, "0")
        try expect("group_add: [mail, \"0\", 5]", \.groupAdd, ["mail", "0", "5"])
    }

    @Test func workingDirectory() throws { try expect("working_dir: /code", \.workingDirectory, "/code") }

    @Test func terminal() throws {
        try expect("tty: true", \.tty, true)
        try expect("tty: \"true\"", \.tty, true)
        try expect("stdin_open: true", \.stdinOpen, true)
        try expect("stdin_open: false", \.stdinOpen, false)
        try expect("attach: true", \.attach, true)
        try expect("attach: false", \.attach, false)
        try expect("image: a", \.attach, nil)
    }

    @Test func initProcess() throws {
        try expect("init: true", \.initProcess, true)
        try expect("init: false", \.initProcess, false)
        try expect("image: a", \.initProcess, nil)
    }

    @Test func names() throws {
        try expect("hostname: foo", \.hostname, "foo")
        try expect("domainname: foo.com", \.domainname, "foo.com")
        try expect("container_name: my-web-container", \.containerName, "my-web-container")
    }

    @Test func labels() throws {
        let expected = [
            "com.example.description": "Accounting webapp", "com.example.number": "42", "com.example.empty": "",
        ]
        try expect(
            """
            labels:
              com.example.description: "Accounting webapp"
              com.example.number: 42
              com.example.empty:
            """, \.labels, expected)
        try expect(
            """
            labels:
              - "com.example.description=Accounting webapp"
              - "com.example.number=42"
              - "com.example.empty"
            """, \.labels, expected)
    }

    @Test func labelFiles() throws {
        var project = Everything.project(
            """
            services:
              one: {image: a, label_file: a.labels}
              many: {image: a, label_file: [a.labels, b.labels], labels: {own: yes, first: mine}}
            """)
        project.files["/work/demo/a.labels"] = "first=1\nsecond=2\n"
        project.files["/work/demo/b.labels"] = "second=two\n"
        let services = try project.load().stack.services
        #expect(services["one"]?.labels == ["first": "1", "second": "2"])
        #expect(services["many"]?.labels == ["first": "mine", "second": "two", "own": "yes"])
    }

    @Test func annotations() throws {
        try expect("annotations: [com.example.foo=bar]", \.annotations, ["com.example.foo": "bar"])
        try expect("annotations: {com.example.foo: bar, n: 1}", \.annotations, ["com.example.foo": "bar", "n": "1"])
    }

    @Test func provider() throws {
        let expected = with(Provider(type: "cloud")) {
            $0.options = ["size": ["256"], "names": ["a", "b"], "safe": ["true"]]
        }
        try expect("provider: {type: cloud, options: {size: 256, names: [a, b], safe: true}}", \.provider, expected)
        try expect("provider: {type: cloud}", \.provider, Provider(type: "cloud"))
        try expect("provider: {type: cloud}", \.image, "")
    }
}
