/* Parameters that PyTorch's programs fill with the same numbers (image_models.py). */
#ifndef GEMEL_BENCH_PARAMETERS_H
#define GEMEL_BENCH_PARAMETERS_H

#include <gemel/model.h>

/* Numbers that depend on seed and names alone, with which activations neither vanish nor explode. */
void parameters_fill(gm_model *model, uint32_t seed);

#endif
