/* Ctrl-C and SIGTERM as a wish to stop. */
#ifndef GEMEL_SIGNALS_H
#define GEMEL_SIGNALS_H

#include <signal.h>

/* From now on the first SIGINT or SIGTERM only sets the flag below; the second one ends the process as usual. */
void gm_signals_catch(void);

/* From now on they end the process as usual again. */
void gm_signals_release(void);

/* The number of the signal that was caught, or 0. */
const volatile sig_atomic_t *gm_signals_caught(void);

#endif
