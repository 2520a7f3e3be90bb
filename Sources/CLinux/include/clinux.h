// What Swift cannot reach through `import Glibc`: declarations that need _GNU_SOURCE, variadic functions, function-like
// macros and system calls without a glibc wrapper. One header an area; each wrapper says why it exists.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "clinux_base.h"
#include "clinux_cgroup.h"
#include "clinux_network.h"
#include "clinux_datagrams.h"
#include "clinux_rootless.h"
#include "clinux_runtime.h"
#include "clinux_kernel.h"
