/* gm_optimizer: its state, continuing from it, and wrong arguments. The updates themselves: test_training_step.c. */
#include <gemel/model.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum { IN = 6, HIDDEN = 5, OUT = 4, ROWS = 3 };

static gm_model *create(gm_context *context, gm_arch arch, bool training)
{
    gm_model_options options = gm_model_default_options(IN, ROWS);
    options.arch = arch;
    options.hidden_size = HIDDEN;
    options.projection_dim = OUT;
    options.training = training;
    gm_model *model;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    return model;
}

static gm_optimizer *create_optimizer(gm_model *model, gm_optimizer_kind kind)
{
    const gm_optimizer_options options = gm_optimizer_default_options(kind);
    gm_optimizer *optimizer;
    ck_assert_int_eq(gm_optimizer_create(model, &options, &optimizer), GM_OK);
    return optimizer;
}

/* A gradient of its own for every step. */
static void step(gm_model *model, gm_optimizer *optimizer, uint64_t seed)
{
    test_random random = test_random_create(seed);
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        if (p.gradient)
            test_fill_normal(&random, p.gradient, p.count, 0, 1);
    }
    ck_assert_int_eq(gm_optimizer_step(optimizer, 0.1f, 0.01f), GM_OK);
}

START_TEST(state_is_named_after_its_parameter)
{
    static const char *const first[] = {"momentum.encoder.0.weight", "exp_avg.encoder.0.weight",
                                        "momentum.encoder.0.weight"};
    static const int arrays[] = {1, 2, 1};
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = create(context, GM_ARCH_MLP, true);
    int32_t trainable = 0;
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++)
        trainable += gm_model_parameter(model, i).gradient != NULL;
    for (int kind = 0; kind < GM_OPTIMIZER_COUNT; kind++) {
        gm_optimizer *optimizer = create_optimizer(model, (gm_optimizer_kind)kind);
        ck_assert_int_eq(gm_optimizer_state_count(optimizer), arrays[kind] * trainable);
        ck_assert_str_eq(gm_optimizer_state(optimizer, 0).name, first[kind]);
        for (int32_t i = 0; i < gm_optimizer_state_count(optimizer); i++) {
            const gm_parameter state = gm_optimizer_state(optimizer, i);
            ck_assert_ptr_null(strstr(state.name, "running"));
            ck_assert_ptr_null(state.gradient);
            for (int64_t j = 0; j < state.count; j++)
                ck_assert(state.value[j] == 0.0f);
        }
        ck_assert_int_eq(gm_optimizer_steps(optimizer), 0);
        gm_optimizer_destroy(optimizer);
    }
    gm_optimizer *adam = create_optimizer(model, GM_OPTIMIZER_ADAM);
    ck_assert_str_eq(gm_optimizer_state(adam, 1).name, "exp_avg_sq.encoder.0.weight");
    ck_assert_str_eq(gm_optimizer_state(adam, 2).name, "exp_avg.encoder.1.weight");
    gm_optimizer_destroy(adam);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

static void copy(const gm_parameter *from, const gm_parameter *to)
{
    ck_assert_str_eq(from->name, to->name);
    ck_assert_int_eq(from->count, to->count);
    memcpy(to->value, from->value, (size_t)from->count * sizeof(float));
}

/* Three steps, carried over to another model and optimiser, then two more: the same bits as five steps in one go. */
START_TEST(training_continues_from_a_copy_of_the_state)
{
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    for (int kind = 0; kind < GM_OPTIMIZER_COUNT; kind++) {
        gm_model *model = create(context, GM_ARCH_AXON, true), *other = create(context, GM_ARCH_AXON, true);
        gm_optimizer *optimizer = create_optimizer(model, (gm_optimizer_kind)kind);
        for (uint64_t i = 0; i < 3; i++)
            step(model, optimizer, i);
        gm_optimizer *resumed = create_optimizer(other, (gm_optimizer_kind)kind);
        for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
            const gm_parameter from = gm_model_parameter(model, i), to = gm_model_parameter(other, i);
            copy(&from, &to);
        }
        for (int32_t i = 0; i < gm_optimizer_state_count(optimizer); i++) {
            const gm_parameter from = gm_optimizer_state(optimizer, i), to = gm_optimizer_state(resumed, i);
            copy(&from, &to);
        }
        ck_assert_int_eq(gm_optimizer_steps(optimizer), 3);
        gm_optimizer_set_steps(resumed, 3);
        for (uint64_t i = 3; i < 5; i++) {
            step(model, optimizer, i);
            step(other, resumed, i);
        }
        for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
            const gm_parameter a = gm_model_parameter(model, i), b = gm_model_parameter(other, i);
            ck_assert(test_same_bits(a.value, b.value, (size_t)a.count * sizeof(float)));
        }
        gm_optimizer_destroy(optimizer);
        gm_optimizer_destroy(resumed);
        gm_model_destroy(model);
        gm_model_destroy(other);
    }
    gm_context_destroy(context);
}
END_TEST

/* Without momentum and decay, SGD's step is rate times gradient: each parameter shows which rate it got. */
START_TEST(matrices_and_vectors_have_rates_of_their_own)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = create(context, GM_ARCH_MLP, true);
    gm_optimizer_options options = gm_optimizer_default_options(GM_OPTIMIZER_SGD);
    options.momentum = options.weight_decay = 0.0f;
    gm_optimizer *optimizer;
    ck_assert_int_eq(gm_optimizer_create(model, &options, &optimizer), GM_OK);
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        for (int64_t j = 0; j < p.count; j++) {
            p.value[j] = 0.0f;
            if (p.gradient)
                p.gradient[j] = 1.0f;
        }
    }
    ck_assert_int_eq(gm_optimizer_step(optimizer, 0.5f, 0.25f), GM_OK);
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        for (int64_t j = 0; j < p.count; j++)
            ck_assert(p.value[j] == (!p.gradient ? 0.0f : p.dimensions == 2 ? -0.5f : -0.25f));
    }
    gm_optimizer_destroy(optimizer);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    gm_model *model = create(context, GM_ARCH_MLP, true), *inference = create(context, GM_ARCH_MLP, false);
    const gm_optimizer_options good = gm_optimizer_default_options(GM_OPTIMIZER_ADAM);
    gm_optimizer_options cases[8];
    for (int i = 0; i < 8; i++)
        cases[i] = good;
    cases[0].size = 4;
    cases[1].kind = GM_OPTIMIZER_COUNT;
    cases[2].weight_decay = -1;
    cases[3].momentum = 1;
    cases[4].beta1 = 1;
    cases[5].beta2 = -0.1f;
    cases[6].eps = -1;
    cases[7].eta = NAN;
    gm_optimizer *optimizer;
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(gm_optimizer_create(model, &cases[i], &optimizer), GM_INVALID_ARGUMENT);
        ck_assert_ptr_null(optimizer);
    }
    ck_assert_int_eq(gm_optimizer_create(NULL, &good, &optimizer), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_optimizer_create(inference, &good, &optimizer), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_optimizer_create(model, NULL, &optimizer), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_optimizer_create(model, &good, NULL), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_optimizer_step(NULL, 1, 1), GM_INVALID_ARGUMENT);
    gm_optimizer_destroy(NULL);
    gm_optimizer_kind kind;
    for (int i = 0; i < GM_OPTIMIZER_COUNT; i++) {
        ck_assert_int_eq(gm_optimizer_from_name(gm_optimizer_name((gm_optimizer_kind)i), &kind), GM_OK);
        ck_assert_int_eq(kind, i);
    }
    ck_assert_ptr_null(gm_optimizer_name(GM_OPTIMIZER_COUNT));
    ck_assert_int_eq(gm_optimizer_from_name("adamw", &kind), GM_INVALID_ARGUMENT);
    gm_model_destroy(model);
    gm_model_destroy(inference);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_optimizer");
    TCase *tests = tcase_create("model_optimizer");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, state_is_named_after_its_parameter);
    tcase_add_test(tests, training_continues_from_a_copy_of_the_state);
    tcase_add_test(tests, matrices_and_vectors_have_rates_of_their_own);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
