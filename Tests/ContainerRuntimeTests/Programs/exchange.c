// Exchanges two names as fast as it can, for ever: renameat2(2), RENAME_EXCHANGE. exchange A B
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

int main(int count, char **arguments) {
  if (count != 3) return 2;
  while (renameat2(AT_FDCWD, arguments[1], AT_FDCWD, arguments[2], RENAME_EXCHANGE) == 0) {
  }
  perror("renameat2");
  return 1;
}
