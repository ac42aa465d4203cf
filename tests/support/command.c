#include "support/command.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/files.h"

char command_output[COMMAND_OUTPUT];
static test_folder home;

void command_enter(void)
{
    home = test_folder_create();
    ck_assert_int_eq(chdir(home.path), 0);
    unsetenv("OMP_NUM_THREADS");
}

void command_leave(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    test_folder_remove(&home);
}

static const char *program(void)
{
    const char *words = getenv("GEMEL_COMMAND");
    ck_assert_msg(words != NULL, "GEMEL_COMMAND is not set");
    return words;
}

FILE *command_start(const char *words, const char *standard_error)
{
    char command[1024];
    /* First, so that words which send the output elsewhere leave the messages alone. */
    const int size = snprintf(command, sizeof command, "2>%s %s %s", standard_error, program(), words);
    ck_assert_int_lt(size, sizeof command);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    return pipe;
}

/* As a shell counts. */
static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int finish(FILE *pipe)
{
    command_output[fread(command_output, 1, sizeof command_output - 1, pipe)] = '\0';
    return exit_code(pclose(pipe));
}

int command_run(const char *words, const char *standard_error)
{
    return finish(command_start(words, standard_error));
}

void command_finish(FILE *pipe, const char *words, int code, const char *pattern)
{
    const int actual = finish(pipe);
    ck_assert_msg(actual == code && strstr(command_output, pattern),
                  "gemel %s: exit code %d instead of %d, or no \"%s\" in: %s", words, actual, code, pattern,
                  command_output);
}

void command_expect(const char *words, int code, const char *pattern)
{
    command_finish(command_start(words, "&1"), words, code, pattern);
}

pid_t command_spawn(const char *words, void (*prepare)(const void *arg), const void *arg)
{
    enum { MOST_WORDS = 48 };
    char copy[1024], *arguments[MOST_WORDS + 1] = {NULL}, *rest;
    ck_assert_int_lt(snprintf(copy, sizeof copy, "%s %s", program(), words), sizeof copy);
    int count = 0;
    for (char *word = strtok_r(copy, " ", &rest); word && count < MOST_WORDS; word = strtok_r(NULL, " ", &rest))
        arguments[count++] = word;
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child > 0)
        return child;
    const int file = open("output.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    if (prepare)
        prepare(arg);
    execvp(arguments[0], arguments);
    _exit(99);
}

int command_wait(pid_t child, char *output, size_t size)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    test_read("output.txt", output, size);
    return exit_code(status);
}
