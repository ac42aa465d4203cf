/* Recipes: configurations of published runs that come with the program, recipes/NAME/config.json. */
#ifndef GEMEL_RECIPES_H
#define GEMEL_RECIPES_H

#include "train/config.h"

/* Reads the recipe of this name, installed or in the build folder of this program. Errors: GM_BAD_USAGE (none of this
 * name; the message lists those there are), GM_BAD_DATA. */
gm_status gm_recipe_read(const char *name, gm_train_config *config, gm_error *error);

#endif
