/* The floor of running commands: starts `sh -c true` COUNT times, SLOTS at a time, with
 * posix_spawn, and waits for each. Nothing is captured and nothing is recorded. */

#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 500;
  int slots = argc > 2 ? atoi(argv[2]) : 2;
  char *args[] = {"sh", "-c", "true", NULL};
  int running = 0;
  for (int started = 0; started < count; started++) {
    pid_t pid;
    if (running == slots && wait(NULL) > 0) running--;
    if (posix_spawn(&pid, "/bin/sh", NULL, NULL, args, environ) != 0) return 1;
    running++;
  }
  while (wait(NULL) > 0) {
  }
  return 0;
}
