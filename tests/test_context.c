/* Contexts: choice of instruction set and threads, workspace. */
#include <gemel/gemel.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

static gm_status create_with(const char *isa, const char *threading, const char *threads, gm_context **context)
{
    isa ? setenv("GEMEL_ISA", isa, 1) : unsetenv("GEMEL_ISA");
    threading ? setenv("GEMEL_THREADING", threading, 1) : unsetenv("GEMEL_THREADING");
    threads ? setenv("OMP_NUM_THREADS", threads, 1) : unsetenv("OMP_NUM_THREADS");
    return gm_context_create(NULL, context);
}

START_TEST(environment_is_obeyed_or_refused)
{
    const char *elsewhere = gm_isa_available(GM_ISA_NEON) ? "avx2" : "neon";
    const struct {
        const char *isa, *threading, *threads;
        gm_status status;
    } cases[] = {
        {NULL, NULL, NULL, GM_OK},
        {"", NULL, "", GM_OK},
        {"scalar", NULL, NULL, GM_OK},
        {"avx9", NULL, NULL, GM_UNKNOWN_ISA},
        {"AVX2 ", NULL, NULL, GM_UNKNOWN_ISA},
        {elsewhere, NULL, NULL, GM_UNAVAILABLE_ISA},
        {NULL, NULL, "3", GM_OK},
        {NULL, NULL, "2,4", GM_OK},
        {NULL, NULL, "0", GM_INVALID_ENVIRONMENT},
        {NULL, NULL, "-1", GM_INVALID_ENVIRONMENT},
        {NULL, NULL, "two", GM_INVALID_ENVIRONMENT},
        {NULL, NULL, "2x", GM_INVALID_ENVIRONMENT},
        {NULL, "pool", "2", GM_OK},
        {NULL, "serial", NULL, GM_OK},
        {NULL, "openmp", "2", gm_threading_available(GM_THREADING_OPENMP) ? GM_OK : GM_UNKNOWN_THREADING},
        {NULL, "Pool", NULL, GM_UNKNOWN_THREADING},
        {NULL, "auto", NULL, GM_UNKNOWN_THREADING},
        {NULL, "injected", NULL, GM_UNKNOWN_THREADING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_context *context = (gm_context *)1;
        const gm_status status = create_with(cases[i].isa, cases[i].threading, cases[i].threads, &context);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
        ck_assert((context != NULL) == (status == GM_OK));
        if (context && cases[i].isa && *cases[i].isa)
            ck_assert_str_eq(gm_isa_name(gm_context_isa(context)), cases[i].isa);
        if (context)
            ck_assert_str_eq(gm_threading_name(gm_context_threading(context)),
                             cases[i].threading ? cases[i].threading : "pool");
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(options_are_checked)
{
    const gm_context_options good = gm_context_default_options();
    gm_context_options cut = good, negative = good, crowd = good, poolless = good, odd = good;
    cut.size = 8;
    negative.threads = -1;
    crowd.threads = 1 << 20;
    poolless.threading = GM_THREADING_INJECTED;
    odd.threading = (gm_threading)9;
    const gm_context_options *cases[] = {&cut, &negative, &crowd, &poolless, &odd};
    gm_context *context;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_int_eq(gm_context_create(cases[i], &context), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_context_create(NULL, NULL), GM_INVALID_ARGUMENT);
    gm_context_destroy(NULL);
}
END_TEST

START_TEST(every_operation_names_its_kernel)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        const char *operation, *kernel;
        int32_t count = 0;
        for (; gm_context_kernel(context, count, &operation, &kernel); count++) {
            ck_assert(strlen(operation) > 0);
            ck_assert_msg(strncmp(kernel, gm_isa_name(isas[i]), strlen(gm_isa_name(isas[i]))) == 0, "%s: %s", operation,
                          kernel);
        }
        ck_assert_int_gt(count, 0);
        ck_assert(!gm_context_kernel(context, -1, &operation, &kernel));
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(the_workspace_grows_and_never_shrinks)
{
    gm_context *context = test_context_with_workspace(GM_ISA_SCALAR, 1, 100);
    ck_assert_uint_eq(gm_context_workspace(context), 100);
    ck_assert_int_eq(gm_context_reserve(context, 5 << 20), GM_OK);
    ck_assert_int_eq(gm_context_reserve(context, 1), GM_OK);
    ck_assert_uint_eq(gm_context_workspace(context), 5 << 20);
    ck_assert_int_eq(gm_context_reserve(context, SIZE_MAX - 5), GM_OUT_OF_MEMORY);
    ck_assert_uint_eq(gm_context_workspace(context), 5 << 20);
    ck_assert_int_eq(gm_context_reserve(NULL, 1), GM_INVALID_ARGUMENT);
    gm_context_destroy(context);
}
END_TEST

START_TEST(statuses_and_version_have_texts)
{
    for (int status = GM_OK; status <= GM_UNKNOWN_THREADING; status++)
        ck_assert_str_ne(gm_status_string((gm_status)status), "unknown status");
    ck_assert_str_eq(gm_status_string((gm_status)999), "unknown status");
    ck_assert_int_eq(gm_version()[0] - '0', GM_VERSION_MAJOR);
}
END_TEST

static void nothing(void *arg, int64_t chunk, int worker)
{
    (void)arg, (void)chunk, (void)worker;
}

static void *create_run_destroy(void *arg)
{
    const int rounds = *(const int *)arg;
    gm_context_options options = gm_context_default_options();
    options.threading = GM_THREADING_POOL;
    options.threads = 2;
    for (int i = 0; i < rounds; i++) {
        gm_context *context = NULL;
        ck_assert_int_eq(gm_context_create(&options, &context), GM_OK);
        gm_context_parallel_for(context, 2, nothing, NULL);
        gm_context_destroy(context);
    }
    return NULL;
}

/* A worker may lose its processor between seeing a loop and joining in, and find context and loop gone: seldom on a
 * processor, often on an emulator, which translates that code when a worker first comes there. */
START_TEST(a_context_may_be_destroyed_right_after_a_loop)
{
    enum { STRANDS = 4 };
    int rounds = 1000;
    pthread_t strands[STRANDS];
    for (int i = 0; i < STRANDS; i++)
        ck_assert_int_eq(pthread_create(&strands[i], NULL, create_run_destroy, &rounds), 0);
    for (int i = 0; i < STRANDS; i++)
        pthread_join(strands[i], NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("context");
    TCase *tests = tcase_create("context");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, environment_is_obeyed_or_refused);
    tcase_add_test(tests, options_are_checked);
    tcase_add_test(tests, every_operation_names_its_kernel);
    tcase_add_test(tests, the_workspace_grows_and_never_shrinks);
    tcase_add_test(tests, statuses_and_version_have_texts);
    tcase_add_test(tests, a_context_may_be_destroyed_right_after_a_loop);
    return test_run(suite);
}
