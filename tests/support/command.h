/* The built command, run as people run it. GEMEL_COMMAND names the program, behind the words of an emulator if it needs
 * one. */
#ifndef GEMEL_TEST_COMMAND_H
#define GEMEL_TEST_COMMAND_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

enum { COMMAND_OUTPUT = 1 << 15 };

/* What the last command printed. */
extern char command_output[COMMAND_OUTPUT];

/* A new folder for temporary files becomes the current one; leaving removes it with everything in it. */
void command_enter(void);
void command_leave(void);

/* Runs gemel with these words of a shell and returns the exit code. Standard error goes to a file or, with "&1", to
 * standard output. */
int command_run(const char *words, const char *standard_error);

/* Runs it and aborts the test unless the exit code is as expected and the output or the messages contain `pattern`. */
void command_expect(const char *words, int code, const char *pattern);

/* The same in two steps. */
FILE *command_start(const char *words, const char *standard_error);
void command_finish(FILE *pipe, const char *words, int code, const char *pattern);

/* Starts gemel itself, not by way of a shell, with words separated by single spaces. What it prints goes to output.txt;
 * `prepare`, unless it is NULL, runs before it in its process. */
pid_t command_spawn(const char *words, void (*prepare)(const void *arg), const void *arg);

/* Waits for its end, reads what it printed, and returns the exit code. */
int command_wait(pid_t child, char *output, size_t size);

#endif
