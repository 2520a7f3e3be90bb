import Testing

@testable import Images

@Suite struct ConfigInstructionTests {
    private func changed(_ changes: String..., from defaults: ContainerDefaults = ContainerDefaults()) throws
        -> ContainerDefaults
    {
        var defaults = defaults
        for change in changes { try ConfigInstruction(parsing: change).apply(to: &defaults) }
        return defaults
    }

    @Test func commands() throws {
        #expect(try changed(#"CMD ["a", "b c"]"#).cmd == ["a", "b c"])
        #expect(try changed("cmd echo $A").cmd == ["/bin/sh", "-c", "echo $A"])
        #expect(try changed("CMD [ -f x ] && y").cmd == ["/bin/sh", "-c", "[ -f x ] && y"])
        #expect(try changed(#"SHELL ["/bin/ash", "-ec"]"#, "CMD a b").cmd == ["/bin/ash", "-ec", "a b"])
        let both = try changed("CMD x", #"ENTRYPOINT ["run"]"#)
        #expect(both.entrypoint == ["run"])
        #expect(both.cmd == nil)
    }

    @Test func environment() throws {
        #expect(try changed("ENV A=1 B='2 3' C=4\\ 5").env == ["A=1", "B=2 3", "C=4 5"])
        #expect(try changed(#"ENV A="b\"c\d" B='e\f'"#).env == [#"A=b"c\d"#, #"B=e\f"#])
        #expect(try changed("ENV A one two", "ENV B=\"x=y\"", "ENV A=2").env == ["A=2", "B=x=y"])
        #expect(try changed("LABEL a=b \"c d\"=e").labels == ["a": "b", "c d": "e"])
    }

    @Test func others() throws {
        #expect(
            try changed("EXPOSE 80 53/udp 8000-8002").exposedPorts == [
                "53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp",
            ])
        #expect(try changed("EXPOSE 65535").exposedPorts == ["65535/tcp"])
        #expect(try changed("VOLUME /b", #"VOLUME ["/a b"]"#).volumes == ["/a b", "/b"])
        #expect(try changed("WORKDIR /a", "WORKDIR b").workingDir == "/a/b")
        #expect(try changed("WORKDIR b").workingDir == "/b")
        #expect(try changed("USER web:web", "STOPSIGNAL SIGINT").stopSignal == "SIGINT")
        #expect(try changed("ONBUILD RUN x").onBuild == ["RUN x"])
        let check = try changed("HEALTHCHECK --interval=1m30s --timeout=500ms --retries=2 CMD curl x").healthcheck
        #expect(check?.test == ["CMD-SHELL", "curl x"])
        #expect(check?.interval == 90_000_000_000)
        #expect(check?.timeout == 500_000_000)
        #expect(check?.retries == 2)
        #expect(try changed("HEALTHCHECK NONE").healthcheck?.test == ["NONE"])
    }

    @Test(arguments: [
        "", "RUN x", "CMD", "ENV A", "ENV =b", "EXPOSE http", "EXPOSE 80/icmp", "EXPOSE 90-80", "EXPOSE 70000",
        "EXPOSE 80/tcp/x", "EXPOSE -", "SHELL sh", "HEALTHCHECK curl", "HEALTHCHECK --interval=soon CMD x",
        "HEALTHCHECK --retries=-1 CMD x", "HEALTHCHECK --nothing=1 CMD x", "HEALTHCHECK --interval",
        "ENV A=\"b", "LABEL a=b\\", "SHELL []", "HEALTHCHECK --interval=99999999999999999999h CMD x",
    ]) func refused(_ change: String) {
        #expect(throws: ImageError.self) { try self.changed(change) }
    }
}
