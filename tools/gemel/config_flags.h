/* Fields of the configuration as flags of a subcommand, and DATA. */
#ifndef GEMEL_CONFIG_FLAGS_H
#define GEMEL_CONFIG_FLAGS_H

#include <argp.h>

#include "train/config.h"

/* Keys of fields begin here: those of the subcommand's own flags and of argp are others. */
enum { GM_CONFIG_KEY = 0x1000 };

/* The flag of a field of gm_config_field(). */
struct argp_option gm_config_flag(int32_t field);

/* Sets a field from a flag's text, NULL for a switch that stands alone; what cannot be ends in argp's message. */
void gm_config_flag_set(gm_train_config *config, int32_t field, const char *text, struct argp_state *state);

/* The same for a key, if it is a field's or ARGP_KEY_ARG, of which DATA is the only one; else ARGP_ERR_UNKNOWN. */
error_t gm_config_flag_parse(gm_train_config *config, int key, const char *text, struct argp_state *state);

#endif
