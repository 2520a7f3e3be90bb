import ArgumentParser
@main struct Gantry: ParsableCommand { func run() {} }
