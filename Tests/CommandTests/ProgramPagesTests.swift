import Testing

@testable import gantry

@Suite struct ProgramPagesTests {
    @Test func onlyTheProgramsOwnCode() {
        let maps = """
            55c5-55c7 r--p 00000000 fe:00 254163                     /usr/bin/my gantry (deleted)
            55c7-55d3 r-xp 00002000 fe:00 254163                     /usr/bin/my gantry (deleted)
            55d3-55d6 r--p 00008000 fe:00 254163                     /usr/bin/my gantry (deleted)
            55d6-55d7 rw-p 0000b000 fe:00 254163                     /usr/bin/my gantry (deleted)
            55d7-55ff rw-p 00000000 00:00 0                          [heap]
            7f00-7f10 r-xp 00000000 fe:00 1                          /usr/lib/libc.so.6
            7f10-7f20 rw-p 00000000 00:00 0
            7f30-7f40 r-xp 00000000 00:00 0                          [vdso]
            """
        #expect(ProgramPages.programCode(maps: maps) == [0x55c7..<0x55d3])
        #expect(ProgramPages.programCode(maps: "") == [])
        #expect(ProgramPages.programCode(maps: "1-2 r-xp 0 0:0 0\nx") == [])
    }
}
