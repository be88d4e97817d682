/* The smallest job that tells when it ran: writes the wall clock, in nanoseconds, to the
 * file named. */

#include <stdio.h>
#include <time.h>

int main(int argc, char **argv) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  FILE *file = argc > 1 ? fopen(argv[1], "w") : NULL;
  if (file == NULL) return 1;
  fprintf(file, "%lld%09ld\n", (long long)now.tv_sec, now.tv_nsec);
  return fclose(file) == 0 ? 0 : 1;
}
