#include "signals.h"

#include <stddef.h>

/* A signal handler can reach nothing but a global. */
static volatile sig_atomic_t caught;

static void remember(int number)
{
    caught = number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

static void set_handlers(void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void gm_signals_catch(void)
{
    set_handlers(remember);
}

void gm_signals_release(void)
{
    set_handlers(SIG_DFL);
}

const volatile sig_atomic_t *gm_signals_caught(void)
{
    return &caught;
}
