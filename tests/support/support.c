#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int test_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int test_isas(gm_isa isas[GM_ISA_COUNT])
{
    gm_isa most = (gm_isa)(GM_ISA_COUNT - 1);
    const char *name = getenv("GEMEL_ISA");
    if (name && *name && gm_isa_from_name(name, &most) != GM_OK) {
        fprintf(stderr, "GEMEL_ISA=%s names no instruction set\n", name);
        exit(2);
    }
    int count = 0;
    for (int isa = 0; isa <= (int)most; isa++)
        if (gm_isa_available((gm_isa)isa))
            isas[count++] = (gm_isa)isa;
    return count;
}

gm_context *test_context_with_workspace(gm_isa isa, int32_t threads, size_t workspace)
{
    gm_context_options options = gm_context_default_options();
    options.isa = isa;
    options.threads = threads;
    options.workspace = workspace;
    gm_context *context;
    const gm_status status = gm_context_create(&options, &context);
    ck_assert_msg(status == GM_OK, "context for %s: %s", gm_isa_name(isa), gm_status_string(status));
    return context;
}

gm_context *test_context(gm_isa isa, int32_t threads)
{
    return test_context_with_workspace(isa, threads, 0);
}

enum { PAGE = 65536 }; /* a multiple of every page size in use */

static test_guard create_guard(int64_t count, bool at_start)
{
    const size_t bytes = (size_t)count * sizeof(float), inside = (bytes + PAGE - 1) / PAGE * PAGE;
    const size_t mapped = inside + 2 * PAGE;
    char *mapping = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_msg(mapping != MAP_FAILED, "no memory for a guarded buffer");
    if (inside)
        ck_assert_int_eq(mprotect(mapping + PAGE, inside, PROT_READ | PROT_WRITE), 0);
    test_guard guard = {(float *)(void *)(mapping + PAGE + (at_start ? 0 : inside - bytes)), count, mapping, mapped};
    test_fill_nan(guard.data, count);
    return guard;
}

test_guard test_guard_create(int64_t count)
{
    return create_guard(count, false);
}

test_guard test_guard_create_at_start(int64_t count)
{
    return create_guard(count, true);
}

void test_guard_protect(const test_guard *guard)
{
    if (guard->mapped > 2 * PAGE)
        ck_assert_int_eq(mprotect((char *)guard->mapping + PAGE, guard->mapped - 2 * PAGE, PROT_READ), 0);
}

void test_guard_free(test_guard *guard)
{
    munmap(guard->mapping, guard->mapped);
    guard->data = NULL;
}

/* splitmix64 */
uint64_t test_random_bits(test_random *random)
{
    uint64_t z = random->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

double test_random_uniform(test_random *random)
{
    return (double)(test_random_bits(random) >> 11) * 0x1p-53;
}

double test_random_normal(test_random *random)
{
    const double u = 1.0 - test_random_uniform(random), v = test_random_uniform(random);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void test_fill_normal(test_random *random, float *x, int64_t count, double mean, double deviation)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(mean + deviation * test_random_normal(random));
}

void test_fill_integers(test_random *random, float *x, int64_t count, int most)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)((int)(test_random_bits(random) % (uint64_t)(2 * most + 1)) - most);
}

void test_fill_heavy_tails(test_random *random, float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(test_random_normal(random) * exp2(20.0 * test_random_uniform(random) - 10.0));
}

void test_fill_nan(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = NAN;
}

double test_norm(const double *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

double test_relative_error(const float *x, const double *expected, int64_t count)
{
    double error = 0;
    for (int64_t i = 0; i < count; i++)
        error += (x[i] - expected[i]) * (x[i] - expected[i]);
    const double norm = test_norm(expected, count);
    error = norm > 0 ? sqrt(error) / norm : sqrt(error);
    return isnan(error) ? INFINITY : error;
}

bool test_same_bits(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}
