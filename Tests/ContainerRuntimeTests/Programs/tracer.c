// Root of a container that waits for new processes in its pid namespace and tries to get hold of each before it
// executes its program: attach, open its descriptors, root, directory and program file. Prints LEAK and what was
// reached beyond the container, and `seen N` when killed or told to stop (a file /stop).
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct stat own;

static void leak(const char *what, int pid, const char *detail) {
  printf("LEAK %s of %d: %s\n", what, pid, detail);
  fflush(stdout);
}

static int isOurs(const char *exe) { return strstr(exe, "supervisor") != NULL; }

static void probe(int pid) {
  char path[64], link[256] = "";
  struct stat status;
  // Attached while it still has more than it should: it must not be able to keep any of it.
  int attached = ptrace(PTRACE_SEIZE, pid, 0, 0) == 0;
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  ssize_t count = readlink(path, link, sizeof link - 1);
  if (count > 0) link[count] = 0;
  int ours = count > 0 && isOurs(link);
  if (ours) {
    int fd = open(path, O_WRONLY);
    if (fd >= 0) leak("program", pid, link), close(fd);
  }
  snprintf(path, sizeof path, "/proc/%d/root", pid);
  if (stat(path, &status) == 0 && (status.st_dev != own.st_dev || status.st_ino != own.st_ino)) {
    leak("root", pid, "another");
  }
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *file = fopen(path, "r");
  if (file) {
    char line[256];
    while (fgets(line, sizeof line, file)) {
      unsigned long long caps;
      // CAP_SYS_ADMIN: more than this container has.
      if (sscanf(line, "CapPrm: %llx", &caps) == 1 && (caps >> 21 & 1)) leak("capabilities", pid, line);
      if (attached && ours && strncmp(line, "Seccomp:\t0", 10) == 0) leak("filter", pid, "none yet");
    }
    fclose(file);
  }
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *folder = opendir(path);
  if (folder) {
    struct dirent *entry;
    while ((entry = readdir(folder))) {
      if (entry->d_name[0] == '.') continue;
      count = readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);
      if (count <= 0) continue;
      link[count] = 0;
      // Pipes are the streams and the report's end; whatever else is open is a way somewhere.
      if (strncmp(link, "pipe:", 5) && strncmp(link, "/dev/", 5) && strncmp(link, "socket:", 7)) {
        if (fstatat(dirfd(folder), entry->d_name, &status, 0) == 0 && S_ISDIR(status.st_mode) && ours &&
            status.st_dev != own.st_dev)
          leak("folder", pid, link);
        if (strncmp(link, "anon_inode:", 11) == 0 && ours) leak("descriptor", pid, link);
      }
    }
    closedir(folder);
  }
}

// A traced process's end is told to its parent only when its tracer has heard of it; a stopped one goes on.
static void release(void) {
  int status, pid;
  while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
    if (WIFSTOPPED(status)) ptrace(PTRACE_DETACH, pid, 0, 0);
}

int main(void) {
  stat("/proc/self/root", &own);
  int last = getpid(), seen = 0;
  unsigned looks = 0;
  puts("ready");
  fflush(stdout);
  while (access("/stop", F_OK) != 0) {
    release();
    // The next numbers are the next processes; further ones when some went by while this one had no processor.
    int reach = ++looks % 64 == 0 ? 256 : 8;
    for (int pid = last + 1; pid < last + reach; pid++) {
      char path[32];
      snprintf(path, sizeof path, "/proc/%d", pid);
      if (access(path, F_OK) != 0) continue;
      last = pid;
      seen++;
      for (int round = 0; round < 3; round++) probe(pid);
    }
  }
  printf("seen %d\n", seen > 0);
  return 0;
}
