#include "config_flags.h"

struct argp_option gm_config_flag(int32_t index)
{
    const gm_field *field = gm_config_field(index);
    const int flags = field->kind == GM_FIELD_SWITCH ? OPTION_ARG_OPTIONAL : 0;
    const struct argp_option option = {field->name, GM_CONFIG_KEY + index, field->argument, flags, field->help, 0};
    return option;
}

void gm_config_flag_set(gm_train_config *config, int32_t field, const char *text, struct argp_state *state)
{
    gm_error error;
    if (gm_config_set(config, field, text ? text : "yes", &error) != GM_OK)
        argp_error(state, "--%s", error.message);
}

error_t gm_config_flag_parse(gm_train_config *config, int key, const char *text, struct argp_state *state)
{
    int32_t field = key - GM_CONFIG_KEY;
    if (key == ARGP_KEY_ARG) {
        if (state->arg_num > 0)
            argp_error(state, "one data set at a time: %s is too much", text);
        field = gm_config_find("data");
    }
    if (field < 0 || field >= gm_config_field_count())
        return ARGP_ERR_UNKNOWN;
    gm_config_flag_set(config, field, text, state);
    return 0;
}
