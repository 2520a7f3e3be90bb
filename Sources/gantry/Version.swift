/// The version of the command line and, being one program, of the engine.
let gantryVersion = "0.1.0"
