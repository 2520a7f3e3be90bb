import CLinux
import Glibc

// One small, single-threaded program with several jobs, named by its first argument:
//   run ID    start a container from the plan on descriptor 3, be its parent, keep its log, record its exit
//   exec ID   run one more process in a running container
//   create ID, join ID   as `run` and `exec`, for an OCI runtime's caller: standard streams are the caller's, and
//             nothing of ours stays; a created container waits to be started
//   watch -- PROGRAM ARGUMENTS…   keep the engine running
//   network FOLDER   answer containers' names and relay ports, beside the engine with this exec root and after it
//   version   print what plans it understands
//   rootless … -- PROGRAM ARGUMENTS…   run the engine of a plain user in namespaces of its own

exit(Supervisor.run(CommandLine.arguments))
