import Testing

@testable import Engine

@Suite struct LockTicketTests {
    @Test func aWithdrawnTicketIsPassedOver() async {
        let lock = AsyncLock()
        await lock.acquire()
        let (first, second) = (lock.ticket(), lock.ticket())
        async let firstHeld = lock.acquire(first)
        lock.withdraw(first)
        #expect(await firstHeld == false)
        async let secondHeld = lock.acquire(second)
        lock.release()
        #expect(await secondHeld)
        lock.release()
        await lock.acquire()
    }

    @Test func whatHasTheLockKeepsItThoughWithdrawn() async {
        let lock = AsyncLock()
        let ticket = lock.ticket()
        #expect(await lock.acquire(ticket))
        lock.withdraw(ticket)
        lock.forget(ticket)
        lock.release()
        #expect(await lock.acquire(lock.ticket()))
    }

    @Test func signalsOfExitCodes() {
        #expect(signalName(exitCode: 137) == "SIGKILL")
        #expect(signalName(exitCode: 1) == nil)
        #expect(signalName(exitCode: 128) == nil)
    }
}
