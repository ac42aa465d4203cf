/* The Barlow Twins loss by whoever is linked in: barlow_gemel.c or barlow_naive.c. */
#ifndef GEMEL_BENCH_BARLOW_H
#define GEMEL_BENCH_BARLOW_H

#include <stdint.h>

/* Takes the program's arguments. */
void barlow_open(int argc, char **argv);

/* The loss with the defaults of <gemel/barlow.h> of za and zb [n, d], and its gradients dza and dzb. Memory that it
 * needs beside them is allocated in the first call of a shape and kept for the next. */
double barlow_loss(int64_t n, int64_t d, const float *za, const float *zb, float *dza, float *dzb);

#endif
