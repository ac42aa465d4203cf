/* What the tests share: instruction sets to run on, guarded memory, seeded numbers, error measures. */
#ifndef GEMEL_TEST_SUPPORT_H
#define GEMEL_TEST_SUPPORT_H

#include <check.h>
#include <gemel/context.h>
#include <stdint.h>

/* Runs the suite, each test in a process of its own, and returns the exit status for main(). */
int test_run(Suite *suite);

/* The instruction sets of this machine up to the one that GEMEL_ISA names. Returns how many; the list ends the loop
 *     gm_isa isas[GM_ISA_COUNT];
 *     for (int i = 0, n = test_isas(isas); i < n; i++) … */
int test_isas(gm_isa isas[GM_ISA_COUNT]);

/* A context for one instruction set; aborts the test if it cannot be had. */
gm_context *test_context(gm_isa isa, int32_t threads);

/* The same with this much workspace and not a byte more. */
gm_context *test_context_with_workspace(gm_isa isa, int32_t threads, size_t workspace);

/* `count` floats whose last one ends where an unreadable page begins; before the first one there is one too, less than
 * a page away. Filled with NaN. Read-only after test_guard_protect(). */
typedef struct test_guard {
    float *data;
    int64_t count;
    void *mapping;
    size_t mapped;
} test_guard;

test_guard test_guard_create(int64_t count);
/* The first float begins where an unreadable page ends. */
test_guard test_guard_create_at_start(int64_t count);
void test_guard_protect(const test_guard *guard);
void test_guard_free(test_guard *guard);

/* Numbers from a seed: the same on every machine. */
typedef struct test_random {
    uint64_t state;
} test_random;

static inline test_random test_random_create(uint64_t seed)
{
    test_random random = {seed * 0x9E3779B97F4A7C15u + 1};
    return random;
}

uint64_t test_random_bits(test_random *random);
double test_random_uniform(test_random *random); /* [0, 1) */
double test_random_normal(test_random *random);

void test_fill_normal(test_random *random, float *x, int64_t count, double mean, double deviation);
void test_fill_integers(test_random *random, float *x, int64_t count, int most); /* in [-most, most] */
void test_fill_heavy_tails(test_random *random, float *x, int64_t count);        /* magnitudes from 2^-10 to 2^10 */
void test_fill_nan(float *x, int64_t count);

static const double test_unit_roundoff = 0x1p-24;

double test_norm(const double *x, int64_t count);

/* |x - expected| / |expected|, or |x| where expected is 0 everywhere; NaN counts as infinitely far. */
double test_relative_error(const float *x, const double *expected, int64_t count);

/* Whether two arrays have equal bits. */
bool test_same_bits(const void *a, const void *b, size_t bytes);

#endif
