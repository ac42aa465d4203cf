/* The built command, run as people run it. GEMEL_COMMAND names the program, behind the words of an emulator if it needs
 * one. */
#ifndef GEMEL_TEST_COMMAND_H
#define GEMEL_TEST_COMMAND_H

#include <stdio.h>

enum { COMMAND_OUTPUT = 1 << 15 };

/* What the last command printed. */
extern char command_output[COMMAND_OUTPUT];

/* A new folder for temporary files becomes the current one; leaving removes it with everything in it. */
void command_enter(void);
void command_leave(void);

/* The exit code that waitpid() and pclose() tell, as a shell counts: 128 and the signal's number where one ended it. */
int command_exit_code(int status);

/* Runs gemel with these words of a shell and returns the exit code. Standard error goes to a file or, with "&1", to
 * standard output. */
int command_run(const char *words, const char *standard_error);

/* Runs it and aborts the test unless the exit code is as expected and the output or the messages contain `pattern`. */
void command_expect(const char *words, int code, const char *pattern);

/* The same in two steps. */
FILE *command_start(const char *words, const char *standard_error);
void command_finish(FILE *pipe, const char *words, int code, const char *pattern);

#endif
