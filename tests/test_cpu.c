/* Names and availability of instruction sets, and what is known of the processor. */
#include <gemel/cpu.h>

#include <string.h>

#include "support/support.h"

START_TEST(names_lead_back_to_their_isa)
{
    for (int i = 0; i < GM_ISA_COUNT; i++) {
        gm_isa isa = GM_ISA_AUTO;
        ck_assert_int_eq(gm_isa_from_name(gm_isa_name((gm_isa)i), &isa), GM_OK);
        ck_assert_int_eq(isa, i);
    }
    gm_isa untouched = GM_ISA_AVX2;
    ck_assert_int_eq(gm_isa_from_name("avx9", &untouched), GM_UNKNOWN_ISA);
    ck_assert_int_eq(gm_isa_from_name("", &untouched), GM_UNKNOWN_ISA);
    ck_assert_int_eq(gm_isa_from_name(NULL, &untouched), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(untouched, GM_ISA_AVX2);
    ck_assert_ptr_null(gm_isa_name(GM_ISA_COUNT));
    ck_assert_ptr_null(gm_isa_name(GM_ISA_AUTO));
}
END_TEST

START_TEST(scalar_is_always_available)
{
    ck_assert(gm_isa_available(GM_ISA_SCALAR));
    ck_assert(!gm_isa_available(GM_ISA_COUNT));
    ck_assert(!gm_isa_available(GM_ISA_AVX512) || gm_isa_available(GM_ISA_AVX2));
    ck_assert(!gm_isa_available(GM_ISA_AVX2) || !gm_isa_available(GM_ISA_NEON));
}
END_TEST

START_TEST(the_processor_is_described)
{
    gm_cpu_info info = {.size = sizeof info};
    ck_assert_int_eq(gm_cpu_query(&info), GM_OK);
    ck_assert(strlen(info.brand) > 0 && strlen(info.core) > 0);
    ck_assert_int_ge(info.physical_cores, 1);
    ck_assert_int_ge(info.logical_cpus, info.physical_cores);
    ck_assert(info.quota_cpus >= 0);
    ck_assert(info.l1d_bytes >= 0 && info.l1d_bytes <= 1 << 20);
    info.size = 3;
    ck_assert_int_eq(gm_cpu_query(&info), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_cpu_query(NULL), GM_INVALID_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu");
    TCase *tests = tcase_create("cpu");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, names_lead_back_to_their_isa);
    tcase_add_test(tests, scalar_is_always_available);
    tcase_add_test(tests, the_processor_is_described);
    return test_run(suite);
}
