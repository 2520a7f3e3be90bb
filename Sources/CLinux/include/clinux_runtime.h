// Mounts, namespaces, cgroups, process attributes: used by ContainerRuntime and gantry-supervisor.
#pragma once
#include <grp.h>
#include <sys/mount.h>
#include <termios.h>
