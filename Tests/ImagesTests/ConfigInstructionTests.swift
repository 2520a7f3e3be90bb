import Testing

@testable import Images

@Suite struct ConfigInstructionTests {
    private func applied(_ texts: String..., to base: ContainerDefaults = ContainerDefaults()) throws
        -> ContainerDefaults
    {
        var config = base
        for text in texts { try ConfigInstruction(parsing: text).apply(to: &config) }
        return config
    }

    @Test func commandsAreListsOrShellText() throws {
        #expect(try applied(#"CMD ["a", "b c"]"#).cmd == ["a", "b c"])
        #expect(try applied("cmd echo $A").cmd == ["/bin/sh", "-c", "echo $A"])
        let made = try applied(#"CMD ["x"]"#, #"ENTRYPOINT ["run"]"#)
        #expect(made.entrypoint == ["run"] && made.cmd == nil)
    }

    @Test func namesHaveValues() throws {
        var base = ContainerDefaults()
        base.env = ["A=old", "B=kept"]
        #expect(
            try applied(#"ENV A=1 C="two words" D=x\ y"#, to: base).env == ["B=kept", "A=1", "C=two words", "D=x y"])
        #expect(try applied("ENV OLD all the rest").env == ["OLD=all the rest"])
        #expect(try applied("LABEL a='b c'").labels == ["a": "b c"])
    }

    @Test func theOthers() throws {
        let made = try applied(
            "EXPOSE 80 53/udp 8000-8002", "VOLUME /a /b", #"VOLUME ["/c"]"#, "USER web:web", "WORKDIR /srv",
            "WORKDIR app",
            "STOPSIGNAL SIGINT", "ONBUILD RUN x", "HEALTHCHECK CMD test -f /x")
        #expect(made.exposedPorts == ["53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp"])
        #expect(made.volumes == ["/a", "/b", "/c"] && made.user == "web:web" && made.workingDir == "/srv/app")
        #expect(made.stopSignal == "SIGINT" && made.onBuild == ["RUN x"])
        #expect(made.healthcheck?.test == ["CMD-SHELL", "test -f /x"])
    }

    @Test(arguments: [
        "RUN x", "", "CMD", "EXPOSE http", "EXPOSE 70000", "EXPOSE 9-1", "ENV =x", "ENV \"a=b", "LABEL a",
        "HEALTHCHECK x",
    ])
    func isRefused(text: String) { #expect(throws: ImageError.self) { _ = try applied(text) } }
}
